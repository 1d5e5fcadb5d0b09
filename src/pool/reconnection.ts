/** The period in which a pool retries a failed connection, and the time of the next try. */
import { NEVER } from "./timer.ts";

/** Milliseconds before the second try; doubled with each failure up to the longest. */
const SHORTEST_WAIT = 100;
const LONGEST_WAIT = 5_000;

/** The shortest wait in milliseconds after a 421: the server is overloaded. */
const COMPLAINT_WAIT = 500;

/** The tries to connect since the first failure without a later success. */
export class Reconnection {
  /** The error of the last try. */
  lastError: unknown;
  readonly #patience: number;
  #since: number | undefined;
  #isUnderWay = false;
  #openedAt = 0;
  #failures = 0;
  #nextAt = 0;

  /** @param patience - the duration of the tries in milliseconds */
  constructor(patience: number) {
    this.#patience = patience;
  }

  /** True from a failure until a connection is open or the pool gives up. */
  get isUnderWay(): boolean {
    return this.#isUnderWay;
  }

  /** True if a try failed and no message was sent since then. */
  get hasFailed(): boolean {
    return this.#since !== undefined;
  }

  /** The time of the first failure. */
  get since(): number {
    return this.#since ?? NEVER;
  }

  /** The time of the next try. */
  get nextAt(): number {
    return this.#nextAt;
  }

  /** The time of rejection for a message that arrived at this time, before or after the first failure. */
  endsAt(arrivedAt: number): number {
    return Math.max(this.since, arrivedAt) + this.#patience;
  }

  /** Messages that arrived by this time have waited long enough. */
  arrivedBy(now: number): number {
    return now - this.#patience;
  }

  /** Records a failed try; `complained`: the server reported load; `arrivedAt`: of the oldest waiting message. */
  failed(error: unknown, complained: boolean, now: number, arrivedAt: number): void {
    if (!this.#isUnderWay && now - this.#openedAt > this.#patience) this.reset();
    this.#since ??= now;
    this.#isUnderWay = true;
    this.lastError = error;
    const wait = Math.max(
      complained ? COMPLAINT_WAIT : 0,
      Math.min(LONGEST_WAIT, SHORTEST_WAIT * 2 ** this.#failures++),
    );
    // Jitter: clients that lost the server at the same time must not return at the same time.
    const jittered = wait * (0.5 + Math.random() / 2);
    // Tries get more frequent towards the end, so that the last one comes shortly before it.
    const remaining = Math.max(SHORTEST_WAIT, (this.endsAt(arrivedAt) - now) / 2);
    this.#nextAt = now + Math.min(jittered, remaining);
  }

  /** Restarts the time for a message that arrived when none waited; the pause before the next try stays. */
  restart(now: number): void {
    if (this.#isUnderWay) this.#since = now;
  }

  /** Records an open connection. If its first message finds it dead, the tries continue as before. */
  opened(now: number): void {
    this.#isUnderWay = false;
    this.#openedAt = now;
    this.lastError = undefined;
  }

  /** Forgets all tries: a message was sent, or the pool gave up. */
  reset(): void {
    this.#isUnderWay = false;
    this.#since = undefined;
    this.#failures = 0;
    this.lastError = undefined;
  }
}
