/**
 * A clock that stands still until the scheduler moves it, in place of the runtime's: `setTimeout`, `performance.now` and
 * `Math.random` of everything that runs are the scenario's own, so that a run depends on its seed alone.
 */
import type { Random } from "./random.ts";

/** How a runtime's timers and clock differ from exact ones; milliseconds. */
export type ClockFaults = {
  /** A timer fires so much before its time at the most: runtimes round, and count from the beginning of the turn. */
  readonly early: number;
  /** A timer fires so much after its time at the most. */
  readonly late: number;
  /** The clock advances so much with each look at it. */
  readonly creep: number;
};

/** A call that has to be made at a moment. */
export type Appointment = {
  readonly at: number;
  readonly order: number;
  readonly run: () => void;
  cancelled: boolean;
};

/** What `setTimeout` returns, as far as the client looks at it. */
export class VirtualTimer {
  /** True while the process lives for it. */
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

/** The runtime's own, which no scenario replaces. */
const { setImmediate: realImmediate } = globalThis;

/** The clock and the appointments of one scenario. */
export class VirtualTime {
  /** Milliseconds since the scenario began. */
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

  /** Makes a call at a moment, or now if that has passed; calls of one moment in their order. */
  at(moment: number, run: () => void): Appointment {
    const appointment = { at: Math.max(moment, this.now), order: this.#order++, run, cancelled: false };
    this.#push(appointment);
    return appointment;
  }

  /** Makes a call after so many milliseconds. */
  after(ms: number, run: () => void): Appointment {
    return this.at(this.now + ms, run);
  }

  /** Resolves after so many milliseconds. */
  wait(ms: number): Promise<void> {
    return new Promise((resolve) => void this.after(ms, resolve));
  }

  /** Moves on to the next appointment and keeps it; false: there is none. */
  step(): boolean {
    for (let next = this.#pop(); next !== undefined; next = this.#pop()) {
      if (next.cancelled) continue;
      this.now = Math.max(this.now, next.at);
      next.run();
      return true;
    }
    return false;
  }

  /** Timers that are set meanwhile are the transport's own. */
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

/** The time that counts for the process, while a scenario is played. */
let current: VirtualTime | undefined;

/** Lets this time count from here on. */
export function useTime(time: VirtualTime): void {
  current = time;
}

/** Takes the runtime's clock away from it, once for all scenarios; the returned function gives it back. */
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
 * Has `finally()` take as many turns of the microtask queue as the language says (ECMA-262 27.2.5.3); Bun's takes fewer,
 * and what happens at the same moment would happen in another order there. The returned function ends that.
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

/** Lets everything happen that needs no time: all promises that can settle have settled then. */
export function settleMicrotasks(): Promise<void> {
  return new Promise((resolve) => void realImmediate(resolve));
}

function isBefore(one: Appointment, other: Appointment): boolean {
  return one.at < other.at || (one.at === other.at && one.order < other.order);
}
