/**
 * Listening to an AbortSignal without leaving a listener behind. A signal may be shared by thousands of messages, and
 * Node warns of more than ten listeners: each signal has one, which calls all that wait for it.
 */
import { keepError } from "./caller-errors.ts";

type Callback = (reason: unknown) => void;

/** All that wait for one signal. */
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
    // One that is removed by another's callback is not called any more.
    for (const entry of this.#callbacks) {
      this.#callbacks.delete(entry);
      entry.call(this.#signal.reason);
    }
  };
}

const waiting = new WeakMap<AbortSignal, Waiting>();

/**
 * Calls back when the signal fires, at once if it has; the returned function ends that. The reason is the caller's object
 * unless the signal is the library's own.
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
