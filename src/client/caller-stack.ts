/**
 * Adds the callers of a method to the stack of its rejection. An error is made when a reply or the end of a connection
 * arrives, with no function of the caller's program on the stack. But engines record which async functions await a
 * promise, and list them in a stack captured while the promise is being settled. So the stack is captured when a call
 * fails, and a successful call costs nothing.
 */
import { isTokenFailure, noteTokenFailure } from "../core/token-failure.ts";
import { SMTPException } from "../errors.ts";
import { isCallersError } from "./caller-errors.ts";

/** The original stacks of the errors that a call rejected with. */
const ownStacks = new WeakMap<Error, string>();

/**
 * Returns the result of a call. The stack of a rejection ends with the functions that await the returned promise. V8
 * follows reactions from promise to promise, so there it costs no more than `then()`. JavaScriptCore follows async
 * functions only, each of which awaits the one before.
 */
export const withCallers: <Value>(call: Promise<Value>) => Promise<Value> =
  "Bun" in globalThis ? awaited : (call) => call.then(undefined, rethrow);

async function awaited<Value>(call: Promise<Value>): Promise<Value> {
  try {
    return await call;
  } catch (error) {
    throw located(error, awaited);
  }
}

/** Adds the callers of `above`, which runs now, to the stack of another call's rejection. */
export function addCallers(error: unknown, above: (...args: never[]) => unknown): void {
  if (!isOwnError(error)) return;
  try {
    if (typeof error.stack === "string") error.stack = joined(error.stack, linesAbove(above));
  } catch {
    // The error is frozen, or the program's own Error.prepareStackTrace throws.
  }
}

function rethrow(error: unknown): never {
  throw located(error, rethrow);
}

/**
 * Returns the error for a rejection, with the callers of `above` at the end of its stack. Copies an error that another
 * call rejected with. Errors of the caller's code, and those of other classes, are left as they are.
 */
function located(error: unknown, above: (...args: never[]) => unknown): unknown {
  if (!isOwnError(error)) return error;
  try {
    const own = ownStacks.get(error);
    if (own !== undefined) return copyOf(error, joined(own, linesAbove(above)));
    if (typeof error.stack !== "string") return error;
    ownStacks.set(error, error.stack);
    error.stack = joined(error.stack, linesAbove(above));
    return error;
  } catch {
    return error; // As above.
  }
}

function isOwnError(error: unknown): error is Error {
  if (error instanceof SMTPException || error instanceof TypeError || error instanceof RangeError) {
    return !isCallersError(error);
  }
  return false;
}

/** The lines of the stack below a running function, without the runtime's own. */
function linesAbove(above: (...args: never[]) => unknown): string[] {
  const taken = new Error();
  const capture: unknown = Reflect.get(Error, "captureStackTrace");
  if (typeof capture === "function") capture.call(Error, taken, above);
  const { stack } = taken;
  if (typeof stack !== "string") return [];
  return stack.split("\n").filter((line) => /^\s+at /.test(line) && !/\((node|ext|native):/.test(line));
}

/** A stack, followed by the lines of another that it lacks. */
function joined(own: string, callers: readonly string[]): string {
  const known = new Set(own.split("\n").map(placeOf));
  return [own, ...callers.filter((line) => !known.has(placeOf(line)))].join("\n");
}

/** A line of a stack, without the parts that differ between a running and an awaiting function. */
function placeOf(line: string): string {
  return line
    .trim()
    .replace(/^at async /, "at ")
    .replace(/:\d+\)?$/, "");
}

/** Copies an error for another call: its class, its fields and its cause, with a stack of its own. */
export function copyOf(error: Error, stack: string): unknown {
  const { stack: _, ...fields } = Object.getOwnPropertyDescriptors(error);
  const copy = new Error(error.message);
  copy.stack = stack;
  if (isTokenFailure(error)) noteTokenFailure(copy);
  return Object.defineProperties(Object.setPrototypeOf(copy, Object.getPrototypeOf(error)), fields);
}
