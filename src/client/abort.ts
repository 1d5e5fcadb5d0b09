/** Listening to an AbortSignal without leaving a listener behind. */

/** Calls back when the signal fires, at once if it has; the returned function ends that. */
export function onAbort(signal: AbortSignal | undefined, callback: (reason: unknown) => void): () => void {
  const fired = (): void => callback(signal?.reason);
  if (signal?.aborted) fired();
  else signal?.addEventListener("abort", fired, { once: true });
  return () => signal?.removeEventListener("abort", fired);
}
