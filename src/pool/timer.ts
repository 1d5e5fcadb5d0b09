/** The pool's only timer: messages and connections share it, so that no message needs one of its own. */
import { LONGEST_TIMER } from "../client/deadline.ts";
import { holdProcess, type Timer as RuntimeTimer } from "../client/timer.ts";

/** A time that never comes. */
export const NEVER: number = Number.POSITIVE_INFINITY;

/** Calls back at the earliest of the scheduled times, which are those of `performance.now()`. */
export class Timer {
  readonly #onDue: () => void;
  #dueAt = NEVER;
  #timer: RuntimeTimer | undefined;
  #holdsProcess = false;

  constructor(onDue: () => void) {
    this.#onDue = onDue;
  }

  /** Calls back at this time, or earlier. */
  schedule(time: number): void {
    if (time >= this.#dueAt) return;
    clearTimeout(this.#timer);
    this.#dueAt = time;
    const wait = Math.ceil(Math.max(0, time - performance.now()));
    this.#timer = setTimeout(() => this.#due(), Math.min(wait, LONGEST_TIMER));
    if (!this.#holdsProcess) holdProcess(this.#timer, false);
  }

  /** Sets whether the timer keeps the process alive; initially it does not. */
  hold(holds: boolean): void {
    if (this.#holdsProcess === holds) return;
    this.#holdsProcess = holds;
    if (this.#dueAt !== NEVER) holdProcess(this.#timer, holds);
  }

  /** Cancels the pending callback. */
  stop(): void {
    clearTimeout(this.#timer);
    this.#dueAt = NEVER;
  }

  #due(): void {
    this.#dueAt = NEVER;
    this.#onDue();
  }
}
