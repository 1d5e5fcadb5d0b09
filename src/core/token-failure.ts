/** Errors of token functions. They are the caller's own, of any class: only a mark tells them from the server's refusals. */

const failures = new WeakSet<Error>();

/** Remembers that an error is a token function's, and returns it. */
export function noteTokenFailure<E extends Error>(error: E): E {
  failures.add(error);
  return error;
}

/** True if an error, or one of its causes, is a token function's. */
export function isTokenFailure(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  return failures.has(error) || (error.cause !== error && isTokenFailure(error.cause));
}
