/** Listening to an AbortSignal without leaving a listener behind. */

/** The reasons of the caller's signals: calls reject with them as they are. */
const reasons = new WeakSet<object>();

/**
 * Calls back when the signal fires, at once if it has; the returned function ends that. The reason is the caller's object
 * unless the signal is the library's own.
 */
export function onAbort(
  signal: AbortSignal | undefined,
  callback: (reason: unknown) => void,
  owner: "caller" | "library" = "caller",
): () => void {
  const fired = (): void => {
    if (owner === "caller") keepReason(signal?.reason);
    callback(signal?.reason);
  };
  if (signal?.aborted) fired();
  else signal?.addEventListener("abort", fired, { once: true });
  return () => signal?.removeEventListener("abort", fired);
}

/** Remembers the reason of one of the caller's signals, which has fired. */
export function keepReason(reason: unknown): void {
  if (typeof reason === "object" && reason !== null) reasons.add(reason);
}

/** True if an error is the reason of one of the caller's signals, and not the library's to change. */
export function isAbortReason(error: object): boolean {
  return reasons.has(error);
}
