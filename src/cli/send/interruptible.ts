/** Ctrl-C while messages are being sent: drops their connections, so that each message settles with its outcome. */
import type { Transport } from "../../index.ts";

/**
 * A transport whose connections end with a signal. A message that was sent completely by then is reported as unknown,
 * which the error of an aborted call would not say.
 */
export function interruptible(transport: Transport, signal: AbortSignal): Transport {
  return async (endpoint, options) => {
    signal.throwIfAborted();
    const both = AbortSignal.any([signal, ...(options?.signal === undefined ? [] : [options.signal])]);
    const stream = await transport(endpoint, { ...options, signal: both });
    const { read } = stream;
    let interrupt = (_: unknown): void => {};
    stream.read = () =>
      new Promise((resolve, reject) => {
        interrupt = reject;
        if (signal.aborted) reject(signal.reason);
        else read.call(stream).then(resolve, reject);
      });
    signal.addEventListener("abort", () => {
      interrupt(signal.reason);
      stream.abort(signal.reason);
    });
    return stream;
  };
}

/** A signal that fires once the messages on lost connections have been settled. */
export function afterwards(signal: AbortSignal): AbortSignal {
  const later = new AbortController();
  const fire = (): void => void setTimeout(() => setTimeout(() => later.abort(signal.reason)));
  if (signal.aborted) fire();
  else signal.addEventListener("abort", fire, { once: true });
  return later.signal;
}
