/** Helpers of the tests of stacks: a program that makes a call, and the functions in a stack. */
import { expect } from "vitest";

/** The functions of a program that awaits a call in another function, from the stack of the rejection. */
export async function callersOf(call: () => Promise<unknown>): Promise<string[]> {
  async function sendNewsletter(): Promise<void> {
    await call();
  }
  async function handleRequest(): Promise<void> {
    await sendNewsletter();
  }
  return unformatted(async () => {
    const error = await rejectionOf(handleRequest());
    return namesIn(error).filter((name) => name === "sendNewsletter" || name === "handleRequest");
  });
}

/** The expected result of every call of `callersOf()`. */
export const CALLERS = ["sendNewsletter", "handleRequest"];

/** The functions in an error's stack, in their order. */
export function namesIn(error: unknown): string[] {
  if (!(error instanceof Error)) throw new Error(`not an error: ${String(error)}`);
  const { stack = "" } = error;
  return [...stack.matchAll(/^\s+at (?:async )?([\w.]+) \(/gm)].map(([, name = ""]) => name);
}

/** Runs a program without Vitest's own form of stacks, which leaves out the names of awaiting functions. */
export function unformatted<Result>(program: () => Promise<Result>): Promise<Result> {
  return formattedBy(undefined, program);
}

/** Runs a program with an `Error.prepareStackTrace` of its own. */
export async function formattedBy<Result>(prepare: unknown, program: () => Promise<Result>): Promise<Result> {
  const before: unknown = Reflect.get(Error, "prepareStackTrace");
  Reflect.set(Error, "prepareStackTrace", prepare);
  try {
    return await program();
  } finally {
    // Bun only notices an assignment.
    Reflect.set(Error, "prepareStackTrace", before);
  }
}

/** Runs a program that makes thousands of errors with stacks as short and as plain as they are outside of tests. */
export async function withPlainStacks<Result>(program: () => Promise<Result>): Promise<Result> {
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 10;
  try {
    return await unformatted(program);
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
  }
}

function rejectionOf(call: Promise<unknown>): Promise<unknown> {
  return call.then(
    () => expect.unreachable("it did not reject"),
    (reason: unknown) => reason,
  );
}
