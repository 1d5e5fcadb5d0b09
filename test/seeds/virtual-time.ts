/**
 * A clock in place of the runtime's that stands still until the scheduler moves it: all code uses the scenario's own
 * `setTimeout`, `performance.now` and `Math.random`, so that a run depends on its seed alone.
 */
import type { Random } from "./random.ts";

/** Deviations of a runtime's timers and clock from exact ones, in milliseconds. */
export type ClockFaults = {
  /** A timer may fire this much too early: runtimes round, and count from the beginning of the turn. */
  readonly early: number;
  /** A timer may fire this much too late. */
  readonly late: number;
  /** The clock advances by this much with each call of `performance.now()`. */
  readonly creep: number;
};

/** A function to call at a time. */
export type Appointment = {
  readonly at: number;
  readonly order: number;
  readonly run: () => void;
  cancelled: boolean;
};

/** The result of `setTimeout`, with the members that the client uses. */
export class VirtualTimer {
  /** True while it keeps the process alive. */
  held = true;
  readonly ms: number;
  readonly owner: "client" | "transport";
  readonly appointment: Appointment;

  constructor(ms: number, owner: "client" | "transport", appointment: Appointment) {
    this.ms = ms;
    this.owner = owner;
    this.appointment = appointment;
  }

  ref(): this {
    this.held = true;
    return this;
  }

  unref(): this {
    this.held = false;
    return this;
  }

  hasRef(): boolean {
    return this.held;
  }
}

/** The runtime's own function, which no scenario replaces. */
const { setImmediate: realImmediate } = globalThis;

/** The clock and the scheduled calls of one scenario. */
export class VirtualTime {
  /** Milliseconds since the beginning of the scenario. */
  now = 0;
  /** The client's timers that have neither fired nor been cleared. */
  readonly timers = new Set<VirtualTimer>();
  readonly #random: Random;
  readonly #faults: ClockFaults;
  readonly #heap: Appointment[] = [];
  #order = 0;
  #owner: VirtualTimer["owner"] = "client";

  constructor(random: Random, faults: ClockFaults) {
    this.#random = random;
    this.#faults = faults;
  }

  /** Calls a function at a time, or now if that has passed; calls at the same time keep their order. */
  at(moment: number, run: () => void): Appointment {
    const appointment = { at: Math.max(moment, this.now), order: this.#order++, run, cancelled: false };
    this.#push(appointment);
    return appointment;
  }

  /** Calls a function after this many milliseconds. */
  after(ms: number, run: () => void): Appointment {
    return this.at(this.now + ms, run);
  }

  /** Resolves after this many milliseconds. */
  wait(ms: number): Promise<void> {
    return new Promise((resolve) => void this.after(ms, resolve));
  }

  /** Advances to the next scheduled call and makes it; false if there is none. */
  step(): boolean {
    for (let next = this.#pop(); next !== undefined; next = this.#pop()) {
      if (next.cancelled) continue;
      this.now = Math.max(this.now, next.at);
      next.run();
      return true;
    }
    return false;
  }

  /** Runs work whose timers belong to the transport. */
  asTransport<T>(work: () => T): T {
    this.#owner = "transport";
    try {
      return work();
    } finally {
      this.#owner = "client";
    }
  }

  /** `performance.now()`. */
  read(): number {
    this.now += this.#faults.creep;
    return this.now;
  }

  /** `Math.random()`. */
  random(): number {
    return this.#random.float();
  }

  /** `setTimeout()`. */
  set(run: (...args: unknown[]) => void, ms: number | undefined, args: unknown[]): VirtualTimer {
    const wait = Math.max(1, Math.floor(Number(ms) || 0));
    const { early, late } = this.#faults;
    const shift = this.#random.between(-early, late);
    const appointment = this.after(Math.max(0, wait + shift), () => {
      this.timers.delete(timer);
      run(...args);
    });
    const timer = new VirtualTimer(wait, this.#owner, appointment);
    this.timers.add(timer);
    return timer;
  }

  /** `clearTimeout()`. */
  clear(timer: unknown): void {
    if (!(timer instanceof VirtualTimer)) return;
    timer.appointment.cancelled = true;
    this.timers.delete(timer);
  }

  #push(appointment: Appointment): void {
    const heap = this.#heap;
    let at = heap.length;
    heap.push(appointment);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const above = heap[parent];
      if (above === undefined || isBefore(above, appointment)) break;
      heap[at] = above;
      at = parent;
    }
    heap[at] = appointment;
  }

  #pop(): Appointment | undefined {
    const heap = this.#heap;
    const [first] = heap;
    const last = heap.pop();
    if (first === undefined || last === undefined || heap.length === 0) return first;
    let at = 0;
    for (;;) {
      const left = heap[2 * at + 1];
      const right = heap[2 * at + 2];
      const child = right !== undefined && left !== undefined && isBefore(right, left) ? 2 * at + 2 : 2 * at + 1;
      const below = heap[child];
      if (below === undefined || isBefore(last, below)) break;
      heap[at] = below;
      at = child;
    }
    heap[at] = last;
    return first;
  }
}

/** The time of the scenario that is being played. */
let current: VirtualTime | undefined;

/** Makes this the current time. */
export function useTime(time: VirtualTime): void {
  current = time;
}

/** Replaces the runtime's clock, once for all scenarios; returns a function that restores it. */
export function installClock(): () => void {
  const { setTimeout, clearTimeout } = globalThis;
  const { now } = performance;
  const { random } = Math;
  Object.assign(globalThis, {
    setTimeout: (run: (...args: unknown[]) => void, ms?: number, ...args: unknown[]) => current?.set(run, ms, args),
    clearTimeout: (timer: unknown) => current?.clear(timer),
  });
  performance.now = () => current?.read() ?? 0;
  Math.random = () => current?.random() ?? 0;
  return () => {
    Object.assign(globalThis, { setTimeout, clearTimeout });
    performance.now = now;
    Math.random = random;
    current = undefined;
  };
}

/**
 * Makes `finally()` take as many turns of the microtask queue as the language specifies (ECMA-262 27.2.5.3); Bun's
 * takes fewer, which would change the order of simultaneous events there. Returns a function that restores the
 * original.
 */
export function standardFinally(): () => void {
  const { prototype } = Promise;
  const own = prototype.finally;
  prototype.finally = function standard<T>(this: Promise<T>, run?: (() => void) | null): Promise<T> {
    return this.then(
      (value) => Promise.resolve(run?.()).then(() => value),
      (error) =>
        Promise.resolve(run?.()).then(() => {
          throw error;
        }),
    );
  };
  return () => {
    prototype.finally = own;
  };
}

/** Lets everything happen that needs no time: settles all promises that can settle. */
export function settleMicrotasks(): Promise<void> {
  return new Promise((resolve) => void realImmediate(resolve));
}

function isBefore(one: Appointment, other: Appointment): boolean {
  return one.at < other.at || (one.at === other.at && one.order < other.order);
}
