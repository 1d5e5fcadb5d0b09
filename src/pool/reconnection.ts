/** How long a pool goes on trying to connect while no connection can be made, and when it tries next. */
import { NEVER } from "./alarm.ts";

/** Milliseconds before the second try; doubled with each failure up to the longest. */
const SHORTEST_WAIT = 100;
const LONGEST_WAIT = 5_000;

/** Milliseconds before the next try at the least, where the server said 421: it has too much to do. */
const COMPLAINT_WAIT = 500;

/** The tries since the first failure after which nothing succeeded. */
export class Reconnection {
  /** What the last try failed with. */
  lastError: unknown;
  readonly #patience: number;
  #since: number | undefined;
  #isUnderWay = false;
  #openedAt = 0;
  #failures = 0;
  #nextAt = 0;

  /** Goes on for so many milliseconds. */
  constructor(patience: number) {
    this.#patience = patience;
  }

  /** True from a failure until a connection is open, or until it was given up. */
  get isUnderWay(): boolean {
    return this.#isUnderWay;
  }

  /** When the first of the failures came. */
  get since(): number {
    return this.#since ?? NEVER;
  }

  /** When to try next. */
  get nextAt(): number {
    return this.#nextAt;
  }

  /** When to give up for a message that came at this moment, before the first failure or after it. */
  endsAt(cameAt: number): number {
    return Math.max(this.since, cameAt) + this.#patience;
  }

  /** Messages that came by this moment have waited for long enough. */
  cameBy(now: number): number {
    return now - this.#patience;
  }

  /** A try failed; `complained` if the server said that it is asked for too much. What waits longest came at `cameAt`. */
  failed(error: unknown, complained: boolean, now: number, cameAt: number): void {
    if (!this.#isUnderWay && now - this.#openedAt > this.#patience) this.reset();
    this.#since ??= now;
    this.#isUnderWay = true;
    this.lastError = error;
    const wait = Math.max(
      complained ? COMPLAINT_WAIT : 0,
      Math.min(LONGEST_WAIT, SHORTEST_WAIT * 2 ** this.#failures++),
    );
    // Clients that lost the server at the same moment must not come back at the same moment.
    const jittered = wait * (0.5 + Math.random() / 2);
    // The tries get closer towards the end: the last one is not made long before it.
    const remaining = Math.max(SHORTEST_WAIT, (this.endsAt(cameAt) - now) / 2);
    this.#nextAt = now + Math.min(jittered, remaining);
  }

  /** A message came when none waited: it has the whole of the time, and the server its pause. */
  restart(now: number): void {
    if (this.#isUnderWay) this.#since = now;
  }

  /** A connection was made. It may be dead when the first message comes: then the tries go on where they were. */
  opened(now: number): void {
    this.#isUnderWay = false;
    this.#openedAt = now;
    this.lastError = undefined;
  }

  /** A message was sent, or it was given up. */
  reset(): void {
    this.#isUnderWay = false;
    this.#since = undefined;
    this.#failures = 0;
    this.lastError = undefined;
  }
}
