/** Limits the number of events in a number of seconds. */

/** A sliding window. */
export class RateWindow {
  readonly #most: number;
  readonly #milliseconds: number;
  readonly #now: () => number;
  #times: number[] = [];

  constructor(most: number, seconds: number, now: () => number) {
    this.#most = most;
    this.#milliseconds = seconds * 1000;
    this.#now = now;
  }

  /** Counts one more event; false if that exceeds the limit, in which case it does not count. */
  take(): boolean {
    const now = this.#now();
    this.#times = this.#times.filter((time) => time > now - this.#milliseconds);
    if (this.#times.length >= this.#most) return false;
    this.#times.push(now);
    return true;
  }
}
