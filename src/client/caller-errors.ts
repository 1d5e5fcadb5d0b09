/** Tracks errors of the caller's code: reasons of its signals, and errors of its functions and iterators. */
import { SMTPException } from "../errors.ts";

const errors = new WeakSet<object>();

/** Marks an error as the caller's: a call that fails with it rejects with the same object, unchanged. */
export function keepError(error: unknown): void {
  if (typeof error === "object" && error !== null) errors.add(error);
}

/** True if an error is the caller's: the library must not change it. */
export function isCallersError(error: object): boolean {
  return errors.has(error);
}

/** Runs a synchronous function of the caller. */
export function fromCaller<Result>(work: () => Result): Result {
  try {
    return work();
  } catch (error) {
    keepError(error);
    throw error;
  }
}

/** Runs a function of the caller that may return a promise. */
export async function resultFromCaller<Result>(work: () => Result): Promise<Awaited<Result>> {
  try {
    return await work();
  } catch (error) {
    keepError(error);
    throw error;
  }
}

/** Runs a step of a mechanism or a body. The library's own throw only exceptions of its classes. */
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
