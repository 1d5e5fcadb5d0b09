/** The errors that come from the caller's code: the reasons of its signals, and what its functions and iterators throw. */
import { SMTPException } from "../errors.ts";

const errors = new WeakSet<object>();

/** Remembers an error of the caller's: a call that fails with it rejects with the same object, unchanged. */
export function keepError(error: unknown): void {
  if (typeof error === "object" && error !== null) errors.add(error);
}

/** True if an error is the caller's, and not the library's to change. */
export function isCallersError(error: object): boolean {
  return errors.has(error);
}

/** Runs a synchronous function of the caller's. */
export function fromCaller<Result>(work: () => Result): Result {
  try {
    return work();
  } catch (error) {
    keepError(error);
    throw error;
  }
}

/** Runs a function of the caller's that may give a promise. */
export async function resultFromCaller<Result>(work: () => Result): Promise<Awaited<Result>> {
  try {
    return await work();
  } catch (error) {
    keepError(error);
    throw error;
  }
}

/** Runs a step of a mechanism or a body. The library's own ones throw exceptions of its classes only. */
export function fromMechanism<Result>(work: () => Result): Result {
  try {
    const result = work();
    if (result instanceof Promise) result.catch(keepForeign);
    return result;
  } catch (error) {
    keepForeign(error);
    throw error;
  }
}

function keepForeign(error: unknown): void {
  if (!(error instanceof SMTPException)) keepError(error);
}
