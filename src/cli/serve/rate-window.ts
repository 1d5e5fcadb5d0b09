/** So many events in so many seconds: the last ones are remembered. */

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

  /** Takes one more; false if that is too many, and it does not count then. */
  take(): boolean {
    const now = this.#now();
    this.#times = this.#times.filter((time) => time > now - this.#milliseconds);
    if (this.#times.length >= this.#most) return false;
    this.#times.push(now);
    return true;
  }
}
