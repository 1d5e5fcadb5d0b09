/** The deadlines of a connection, on one timer: they are numbers compared when it fires, so arming one is cheap. */
import { quoted, wrongType } from "../core/bytes.ts";
import type { TimeoutPhase } from "../errors.ts";
import type { SessionEnd } from "./session-end.ts";
import { holdProcess, type Timer } from "./timer.ts";

/** Seconds for each phase; undefined: no limit. */
export type Timeouts = Readonly<Record<TimeoutPhase, number | undefined>>;

/** Default limits in seconds, those of RFC 5321 4.5.3.2 where it has one. */
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

/** The time of a disarmed deadline. */
const NEVER = Number.POSITIVE_INFINITY;

/** Milliseconds; `setTimeout` fires at once with more. */
export const LONGEST_TIMER: number = 2 ** 31 - 1;

/**
 * The timeouts of the options: `timeout` sets all except `quit` and `total`, `timeouts` single ones.
 * @throws {TypeError} if a value is no number, or a phase is unknown
 * @throws {RangeError} if a value is 0, negative or not finite, as in Python
 */
export function resolveTimeouts(timeout: unknown, timeouts: object = {}): Timeouts {
  const { quit, total, ...others } = DEFAULT_TIMEOUTS;
  const all = checkSeconds(timeout, "timeout");
  const defaults = Object.entries(others).map(([phase, seconds]) => [phase, all ?? seconds]);
  return numbersOf({ ...DEFAULT_TIMEOUTS, ...Object.fromEntries(defaults) }, timeouts, "timeouts", checkSeconds);
}

/**
 * `defaults`, overridden by the numbers in `given`; errors name that option as `argument`.
 * @throws {TypeError} if `given` has another name, and the errors of `check`
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

/** A deadline, which can be set repeatedly. `end` is the session's end if it is not a timeout. */
export type Deadline = { at: number; phase: TimeoutPhase; end?: SessionEnd | undefined };

/** Watches the deadlines of one connection. */
export class Watchdog {
  readonly #expired: (deadline: Deadline) => void;
  readonly #deadlines = new Set<Deadline>();
  #timer: Timer | undefined;
  #firesAt = NEVER;
  #holding = true;

  /** Calls `expired` once for each deadline that expires, and disarms it. */
  constructor(expired: (deadline: Deadline) => void) {
    this.#expired = expired;
  }

  /** Adds a disarmed deadline. */
  add(phase: TimeoutPhase): Deadline {
    const deadline = { at: NEVER, phase, end: undefined };
    this.#deadlines.add(deadline);
    return deadline;
  }

  /** Removes a deadline. */
  remove(deadline: Deadline): void {
    this.#deadlines.delete(deadline);
  }

  /** Sets a deadline this many seconds from now; undefined disarms it. */
  arm(deadline: Deadline, phase: TimeoutPhase, seconds: number | undefined): void {
    deadline.phase = phase;
    deadline.at = seconds === undefined ? NEVER : performance.now() + seconds * 1000;
    if (deadline.at < this.#firesAt) this.#fireAt(deadline.at);
  }

  /** Disarms a deadline; the timer still fires. */
  disarm(deadline: Deadline): void {
    deadline.at = NEVER;
  }

  /** Whether the timer keeps the process alive, which it does by default. */
  hold(holds: boolean): void {
    if (this.#holding === holds) return;
    this.#holding = holds;
    if (this.#firesAt !== NEVER) holdProcess(this.#timer, holds);
  }

  /** Removes all deadlines and the timer. */
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
 * Returns a checked number of seconds, or undefined.
 * @throws {TypeError} or {RangeError} naming the argument
 */
export function checkSeconds(value: unknown, argument: string): number | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value !== "number") throw wrongType(argument, "a number of seconds", value);
  if (value > 0 && value < NEVER) return value;
  throw new RangeError(`${argument} must be a positive number of seconds, not ${value}; leave it out for the defaults`);
}
