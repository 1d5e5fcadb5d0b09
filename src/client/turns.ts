/**
 * Who may speak: calls queue in call order. A call may let the next one begin before its own last reply is here,
 * which is how messages are pipelined; a call that must be alone waits for all before it.
 */

/** A call that waits for its turn, or has it. */
export type Call = {
  /** True if no other call may be under way at the same time. */
  readonly alone: boolean;
  /** True while it has the turn: no other call may begin. Kept by `Turns`. */
  holds: boolean;
  /** Begins the call, which says `letGo` and `end` later. */
  start(): void;
};

/** A queue of turns on one session. */
export class Turns {
  #waiting: Call[] = [];
  #first = 0;
  #running = 0;
  #taken = false;
  #advancing = false;

  /** How many calls have begun or wait. */
  get length(): number {
    return this.#running + this.#waiting.length - this.#first;
  }

  /** Runs `task` when all calls before it are settled, and lets none begin before it is. */
  alone<T>(task: () => Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const call: Call = { alone: true, holds: false, start: () => void run() };
      const run = async (): Promise<void> => {
        try {
          resolve(await task());
        } catch (error) {
          reject(error);
        }
        this.end(call);
      };
      this.enter(call);
    });
  }

  /** Starts the call when those before it have let go: at once, if they have. */
  enter(call: Call): void {
    this.#waiting.push(call);
    this.#advance();
  }

  /** Takes back a call that waits. */
  withdraw(call: Call): void {
    this.#waiting = this.#waiting.slice(this.#first).filter((other) => other !== call);
    this.#first = 0;
    this.#advance();
  }

  /** The next call may begin. It does so now, so that what it sends can leave in one write with what this one did. */
  letGo(call: Call): void {
    if (!call.holds) return;
    call.holds = false;
    this.#taken = false;
    this.#advance();
  }

  /** The call is over. To be said once. */
  end(call: Call): void {
    this.#running--;
    if (call.holds) this.letGo(call);
    else this.#advance();
  }

  /** A call that lets the next one begin while it begins itself is not gone into any deeper: thousands may wait. */
  #advance(): void {
    if (this.#advancing) return;
    this.#advancing = true;
    for (;;) {
      const next = this.#waiting[this.#first];
      if (next === undefined || this.#taken || (next.alone && this.#running > 0)) break;
      this.#first++;
      this.#running++;
      this.#taken = next.holds = true;
      next.start();
    }
    this.#advancing = false;
    // Taking each from the front of the array would move all the others, every time.
    if (this.#first < 1024 && this.#first < this.#waiting.length) return;
    this.#waiting = this.#waiting.slice(this.#first);
    this.#first = 0;
  }
}
