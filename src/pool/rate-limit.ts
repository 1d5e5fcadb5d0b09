/** Limits the number of messages that start in a period: a token bucket that all connections of a pool share. */
import { NEVER } from "./timer.ts";

/** At most `messages` in any period of `seconds`. */
export type Rate = {
  /** The number of messages. */
  messages: number;
  /** The length of the period in seconds. */
  seconds: number;
};

/**
 * A token bucket. A message takes a token before it is sent, and the token returns one period after the message
 * started: no window of that length, whenever it begins, contains more starts than there are tokens.
 */
export class RateLimit {
  readonly #period: number;
  readonly #size: number;
  /** The times at which used tokens return: a ring buffer, soonest first. */
  readonly #returns: number[] = [];
  #soonest = 0;
  #used = 0;
  #free: number;

  constructor({ messages, seconds }: Rate) {
    this.#period = seconds * 1000;
    this.#size = messages;
    this.#free = messages;
  }

  /** The number of free tokens. */
  available(now: number): number {
    while (this.next <= now) {
      this.#soonest = (this.#soonest + 1) % this.#size;
      this.#used--;
      this.#free++;
    }
    return this.#free;
  }

  /** Takes a token; false if none is free. */
  take(now: number): boolean {
    if (this.available(now) === 0) return false;
    this.#free--;
    return true;
  }

  /** Records that a message with a token starts. */
  began(now: number): void {
    this.#returns[(this.#soonest + this.#used) % this.#size] = now + this.#period;
    this.#used++;
  }

  /** Returns the token of a message that does not start. */
  giveBack(): void {
    this.#free++;
  }

  /** The time at which the next token returns; `NEVER` if no message with a token has started. */
  get next(): number {
    return this.#used === 0 ? NEVER : (this.#returns[this.#soonest] ?? NEVER);
  }
}
