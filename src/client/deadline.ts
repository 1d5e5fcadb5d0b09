/** One timer a connection: deadlines are numbers that are compared when it fires, so that arming one costs next to nothing. */
import { quoted, wrongType } from "../core/bytes.ts";
import type { TimeoutPhase } from "../errors.ts";
import type { SessionEnd } from "./session-end.ts";
import { holdProcess, type Timer } from "./timer.ts";

/** Seconds a phase; undefined: no limit. */
export type Timeouts = Readonly<Record<TimeoutPhase, number | undefined>>;

/** The limits of RFC 5321 4.5.3.2 where it names one, in seconds. */
export const DEFAULT_TIMEOUTS: Record<TimeoutPhase, number | undefined> = {
  connect: 30,
  greeting: 300,
  tls: 30,
  command: 300,
  envelope: 300,
  dataInit: 120,
  dataBlock: 180,
  dataDone: 600,
  quit: 5,
  total: undefined,
};

/** The moment of a deadline that is off. */
const NEVER = Number.POSITIVE_INFINITY;

/** `setTimeout` fires at once if it is given more; milliseconds. */
export const LONGEST_TIMER: number = 2 ** 31 - 1;

/**
 * The timeouts that the options ask for: `timeout` sets all but `quit` and `total`, `timeouts` single ones.
 * @throws {TypeError} if a value is no number, or a phase is unknown
 * @throws {RangeError} if a value is 0, negative or not finite, as Python has it
 */
export function resolveTimeouts(timeout: unknown, timeouts: object = {}): Timeouts {
  const { quit, total, ...others } = DEFAULT_TIMEOUTS;
  const all = checkSeconds(timeout, "timeout");
  const defaults = Object.entries(others).map(([phase, seconds]) => [phase, all ?? seconds]);
  return numbersOf({ ...DEFAULT_TIMEOUTS, ...Object.fromEntries(defaults) }, timeouts, "timeouts", checkSeconds);
}

/**
 * `defaults`, but for the numbers that `given`, the option called `argument`, has under the same names.
 * @throws {TypeError} if `given` has another name, and what `check` throws
 */
export function numbersOf<Numbers extends Readonly<Record<string, number | undefined>>>(
  defaults: Numbers,
  given: object,
  argument: string,
  check: (value: unknown, argument: string) => number | undefined,
): Numbers {
  const numbers = Object.entries(given).map(([name, value]) => {
    if (!Object.hasOwn(defaults, name)) throw new TypeError(`${argument} has no ${quoted(name)}`);
    return [name, check(value, `${argument}.${name}`) ?? defaults[name]];
  });
  return { ...defaults, ...Object.fromEntries(numbers) };
}

/** A moment that must not be reached; it can be set again and again. `end` is what it means, if not a timeout. */
export type Deadline = { at: number; phase: TimeoutPhase; end?: SessionEnd | undefined };

/** Watches the deadlines of one connection. */
export class Watchdog {
  readonly #expired: (deadline: Deadline) => void;
  readonly #deadlines = new Set<Deadline>();
  #timer: Timer | undefined;
  #firesAt = NEVER;
  #holding = true;

  /** `expired` is called once for each deadline that is reached; that deadline is off then. */
  constructor(expired: (deadline: Deadline) => void) {
    this.#expired = expired;
  }

  /** A new deadline, which is off. */
  add(phase: TimeoutPhase): Deadline {
    const deadline = { at: NEVER, phase, end: undefined };
    this.#deadlines.add(deadline);
    return deadline;
  }

  /** Forgets a deadline. */
  remove(deadline: Deadline): void {
    this.#deadlines.delete(deadline);
  }

  /** Sets a deadline so many seconds from now; undefined turns it off. */
  arm(deadline: Deadline, phase: TimeoutPhase, seconds: number | undefined): void {
    deadline.phase = phase;
    deadline.at = seconds === undefined ? NEVER : performance.now() + seconds * 1000;
    if (deadline.at < this.#firesAt) this.#fireAt(deadline.at);
  }

  /** Turns a deadline off; the timer is left to find out. */
  disarm(deadline: Deadline): void {
    deadline.at = NEVER;
  }

  /** Whether the process lives until the timer fires, which it does at first. */
  hold(holds: boolean): void {
    if (this.#holding === holds) return;
    this.#holding = holds;
    if (this.#firesAt !== NEVER) holdProcess(this.#timer, holds);
  }

  /** Turns everything off and leaves no timer behind. */
  close(): void {
    this.#deadlines.clear();
    clearTimeout(this.#timer);
    this.#firesAt = -NEVER;
  }

  #fireAt(moment: number): void {
    clearTimeout(this.#timer);
    this.#firesAt = moment;
    const wait = Math.ceil(Math.max(0, moment - performance.now()));
    this.#timer = setTimeout(() => this.#fire(), Math.min(wait, LONGEST_TIMER));
    if (!this.#holding) holdProcess(this.#timer, false);
  }

  #fire(): void {
    this.#firesAt = NEVER;
    const now = performance.now();
    for (const deadline of [...this.#deadlines]) {
      if (deadline.at > now || !this.#deadlines.has(deadline)) continue;
      deadline.at = NEVER;
      this.#expired(deadline);
    }
    const next = Math.min(...[...this.#deadlines].map(({ at }) => at));
    if (next < this.#firesAt) this.#fireAt(next);
  }
}

/**
 * Seconds, or nothing.
 * @throws {TypeError} or {RangeError} naming the argument
 */
export function checkSeconds(value: unknown, argument: string): number | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value !== "number") throw wrongType(argument, "a number of seconds", value);
  if (value > 0 && value < NEVER) return value;
  throw new RangeError(`${argument} must be a positive number of seconds, not ${value}; leave it out for the defaults`);
}
