/** How many messages may begin in a time: a bucket of tokens, shared by all connections of a pool. */
import { NEVER } from "./alarm.ts";

/** At most `messages` in any `seconds`. */
export type Rate = {
  /** How many messages. */
  messages: number;
  /** In how many seconds. */
  seconds: number;
};

/**
 * A bucket of tokens. A message takes one before it is sent, and the token comes back so many seconds after the sending
 * began: in no window of that length, wherever it is laid, do more messages begin than there are tokens.
 */
export class RateLimit {
  readonly #period: number;
  readonly #size: number;
  /** When the tokens in use come back: a ring, soonest first. */
  readonly #returns: number[] = [];
  #soonest = 0;
  #used = 0;
  #free: number;

  constructor({ messages, seconds }: Rate) {
    this.#period = seconds * 1000;
    this.#size = messages;
    this.#free = messages;
  }

  /** How many tokens there are. */
  available(now: number): number {
    while (this.next <= now) {
      this.#soonest = (this.#soonest + 1) % this.#size;
      this.#used--;
      this.#free++;
    }
    return this.#free;
  }

  /** Takes a token, if there is one. */
  take(now: number): boolean {
    if (this.available(now) === 0) return false;
    this.#free--;
    return true;
  }

  /** The message whose token was taken begins. */
  began(now: number): void {
    this.#returns[(this.#soonest + this.#used) % this.#size] = now + this.#period;
    this.#used++;
  }

  /** The message whose token was taken will not begin. */
  giveBack(): void {
    this.#free++;
  }

  /** When the next token comes back; never, if all that are taken have yet to be used. */
  get next(): number {
    return this.#used === 0 ? NEVER : (this.#returns[this.#soonest] ?? NEVER);
  }
}
