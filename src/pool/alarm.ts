/** One timer for all that a pool waits for, so that no message needs one of its own. */
import { LONGEST_TIMER } from "../client/deadline.ts";
import { holdProcess, type Timer } from "../client/timer.ts";

/** No moment. */
export const NEVER: number = Number.POSITIVE_INFINITY;

/** Calls back at the earliest of the moments it was told of; moments are those of `performance.now()`. */
export class Alarm {
  readonly #ring: () => void;
  #at = NEVER;
  #timer: Timer | undefined;
  #holds = false;

  constructor(ring: () => void) {
    this.#ring = ring;
  }

  /** Rings at this moment, or before it. */
  at(moment: number): void {
    if (moment >= this.#at) return;
    clearTimeout(this.#timer);
    this.#at = moment;
    const wait = Math.ceil(Math.max(0, moment - performance.now()));
    this.#timer = setTimeout(() => this.#rings(), Math.min(wait, LONGEST_TIMER));
    if (!this.#holds) holdProcess(this.#timer, false);
  }

  /** Whether the process lives until the alarm rings; it does not at first. */
  hold(holds: boolean): void {
    if (this.#holds === holds) return;
    this.#holds = holds;
    if (this.#at !== NEVER) holdProcess(this.#timer, holds);
  }

  /** Does not ring again, and leaves no timer behind. */
  stop(): void {
    clearTimeout(this.#timer);
    this.#at = NEVER;
  }

  #rings(): void {
    this.#at = NEVER;
    this.#ring();
  }
}
