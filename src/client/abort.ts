/**
 * Listening to an AbortSignal without leaving a listener behind. A signal may be shared by thousands of messages, and
 * Node warns of more than ten listeners: each signal has one, which calls all that wait for it.
 */

type Callback = (reason: unknown) => void;

/** All that wait for one signal. */
class Waiting {
  readonly #signal: AbortSignal;
  readonly #callbacks = new Set<{ readonly call: Callback }>();

  constructor(signal: AbortSignal) {
    this.#signal = signal;
  }

  add(call: Callback): () => void {
    const entry = { call };
    if (this.#callbacks.size === 0) this.#signal.addEventListener("abort", this.#fired, { once: true });
    this.#callbacks.add(entry);
    return () => this.#remove(entry);
  }

  #remove(entry: { readonly call: Callback }): void {
    if (!this.#callbacks.delete(entry) || this.#callbacks.size > 0) return;
    this.#signal.removeEventListener("abort", this.#fired);
    waiting.delete(this.#signal);
  }

  readonly #fired = (): void => {
    waiting.delete(this.#signal);
    // One that is removed by another's callback is not called any more.
    for (const entry of this.#callbacks) {
      this.#callbacks.delete(entry);
      entry.call(this.#signal.reason);
    }
  };
}

const waiting = new WeakMap<AbortSignal, Waiting>();

/** Calls back when the signal fires, at once if it has; the returned function ends that. */
export function onAbort(signal: AbortSignal | undefined, callback: Callback): () => void {
  if (signal === undefined) return () => {};
  if (signal.aborted) {
    callback(signal.reason);
    return () => {};
  }
  let all = waiting.get(signal);
  if (all === undefined) {
    all = new Waiting(signal);
    waiting.set(signal, all);
  }
  return all.add(callback);
}
