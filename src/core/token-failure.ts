/** Marks errors of token functions. They may have any class: only the mark distinguishes them from refusals. */

const failures = new WeakSet<Error>();

/** Marks an error of a token function, and returns it. */
export function noteTokenFailure<E extends Error>(error: E): E {
  failures.add(error);
  return error;
}

/** True if an error, or one of its causes, comes from a token function. */
export function isTokenFailure(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  return failures.has(error) || (error.cause !== error && isTokenFailure(error.cause));
}
