/** One timer a connection: deadlines are numbers that are compared when it fires, so that arming one costs next to nothing. */
import { quoted, wrongType } from "../core/bytes.ts";
import type { TimeoutPhase } from "../errors.ts";
import type { SessionEnd } from "./session-end.ts";
import { holdProcess, type Timer } from "./timer.ts";

/** Seconds a phase; undefined: no limit. */
export type Timeouts = Readonly<Record<TimeoutPhase, number | undefined>>;

/** What SECURITY and RFC 5321 4.5.3.2 ask of a client, in seconds. */
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
export type Watchdog = {
  /** A new deadline, which is off. */
  add(phase: TimeoutPhase): Deadline;
  /** Forgets a deadline. */
  remove(deadline: Deadline): void;
  /** Sets a deadline so many seconds from now; undefined turns it off. */
  arm(deadline: Deadline, phase: TimeoutPhase, seconds: number | undefined): void;
  /** Turns a deadline off; the timer is left to find out. */
  disarm(deadline: Deadline): void;
  /** Whether the process lives until the timer fires, which it does at first. */
  hold(holds: boolean): void;
  /** Turns everything off and leaves no timer behind. */
  close(): void;
};

/** `expired` is called once for each deadline that is reached; that deadline is off then. */
export function makeWatchdog(expired: (deadline: Deadline) => void): Watchdog {
  const deadlines = new Set<Deadline>();
  let timer: Timer | undefined;
  let firesAt = NEVER;
  let holding = true;

  function fireAt(moment: number): void {
    clearTimeout(timer);
    firesAt = moment;
    const wait = Math.ceil(Math.max(0, moment - performance.now()));
    timer = setTimeout(fire, Math.min(wait, LONGEST_TIMER));
    if (!holding) holdProcess(timer, false);
  }

  function fire(): void {
    firesAt = NEVER;
    const now = performance.now();
    for (const deadline of [...deadlines]) {
      if (deadline.at > now || !deadlines.has(deadline)) continue;
      deadline.at = NEVER;
      expired(deadline);
    }
    const next = Math.min(...[...deadlines].map(({ at }) => at));
    if (next < firesAt) fireAt(next);
  }

  return {
    add(phase) {
      const deadline = { at: NEVER, phase };
      deadlines.add(deadline);
      return deadline;
    },

    remove(deadline) {
      deadlines.delete(deadline);
    },

    arm(deadline, phase, seconds) {
      deadline.phase = phase;
      deadline.at = seconds === undefined ? NEVER : performance.now() + seconds * 1000;
      if (deadline.at < firesAt) fireAt(deadline.at);
    },

    disarm(deadline) {
      deadline.at = NEVER;
    },

    hold(holds) {
      if (holding === holds) return;
      holding = holds;
      if (firesAt !== NEVER) holdProcess(timer, holds);
    },

    close() {
      deadlines.clear();
      clearTimeout(timer);
      firesAt = -NEVER;
    },
  };
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
