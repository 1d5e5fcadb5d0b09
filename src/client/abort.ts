/**
 * Listens to an AbortSignal without leaving a listener behind. Thousands of messages may share a signal, and Node warns
 * about more than ten listeners, so each signal has one listener, which calls every callback.
 */
import { keepError } from "./caller-errors.ts";

type Callback = (reason: unknown) => void;

/** The callbacks that wait for one signal. */
class Waiting {
  readonly #signal: AbortSignal;
  readonly #owner: "caller" | "library";
  readonly #callbacks = new Set<{ readonly call: Callback }>();

  constructor(signal: AbortSignal, owner: "caller" | "library") {
    this.#signal = signal;
    this.#owner = owner;
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
    if (this.#owner === "caller") keepError(this.#signal.reason);
    // A callback that another callback removes is not called.
    for (const entry of this.#callbacks) {
      this.#callbacks.delete(entry);
      entry.call(this.#signal.reason);
    }
  };
}

const waiting = new WeakMap<AbortSignal, Waiting>();

/**
 * Calls `callback` when the signal fires, at once if it has fired. The returned function stops that. The reason is the
 * caller's object unless the signal is the library's own.
 */
export function onAbort(
  signal: AbortSignal | undefined,
  callback: Callback,
  owner: "caller" | "library" = "caller",
): () => void {
  if (signal === undefined) return () => {};
  if (signal.aborted) {
    if (owner === "caller") keepError(signal.reason);
    callback(signal.reason);
    return () => {};
  }
  let all = waiting.get(signal);
  if (all === undefined) {
    all = new Waiting(signal, owner);
    waiting.set(signal, all);
  }
  return all.add(callback);
}
