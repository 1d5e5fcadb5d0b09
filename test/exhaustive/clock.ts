/** A virtual clock: timers fire, and time passes, only when the exploration decides. */

type Timer = { readonly at: number; readonly callback: () => void };

const real = {
  setTimeout: globalThis.setTimeout,
  clearTimeout: globalThis.clearTimeout,
  setImmediate: globalThis.setImmediate,
};

/** Runs everything that can run without a timer: all microtasks, and what they queue. */
export function drain(): Promise<void> {
  return new Promise((resolve) => real.setImmediate(resolve));
}

/** Replaces `setTimeout`, `clearTimeout` and `performance.now` while it is installed. */
export class Clock {
  /** The current time in milliseconds. */
  now = 0;
  readonly #timers = new Map<object, Timer>();

  /** Replaces the globals, and returns a function that restores them. */
  install(): () => void {
    const ownNow = Object.getOwnPropertyDescriptor(performance, "now");
    const set = (callback: () => void, wait = 0): object => {
      const handle = { ref: () => handle, unref: () => handle };
      this.#timers.set(handle, { at: this.now + Math.max(0, wait), callback });
      return handle;
    };
    Reflect.set(globalThis, "setTimeout", set);
    Reflect.set(globalThis, "clearTimeout", (handle: unknown) => {
      if (typeof handle === "object" && handle !== null) this.#timers.delete(handle);
    });
    Object.defineProperty(performance, "now", { configurable: true, writable: true, value: () => this.now });
    return () => {
      globalThis.setTimeout = real.setTimeout;
      globalThis.clearTimeout = real.clearTimeout;
      if (ownNow === undefined) Reflect.deleteProperty(performance, "now");
      else Object.defineProperty(performance, "now", ownNow);
    };
  }

  /** Removes all timers, and starts at 0 again. */
  reset(): void {
    this.now = 0;
    this.#timers.clear();
  }

  /** The remaining time of each timer in milliseconds, the next one first. */
  get pending(): readonly number[] {
    return [...this.#timers.values()].map(({ at }) => at - this.now).sort((a, b) => a - b);
  }

  /** True if a timer is set. */
  get runs(): boolean {
    return this.#timers.size > 0;
  }

  /** Lets time pass in which no timer fires. */
  pass(milliseconds: number): void {
    this.now += milliseconds;
  }

  /** Lets time pass until the next timer fires; timers that are due at the same time fire one by one. */
  advance(): void {
    let next: [object, Timer] | undefined;
    for (const entry of this.#timers) if (next === undefined || entry[1].at < next[1].at) next = entry;
    if (next === undefined) return;
    const [handle, { at, callback }] = next;
    this.#timers.delete(handle);
    this.now = Math.max(this.now, at);
    callback();
  }
}
