/**
 * Who may speak: calls queue in call order. A call may let the next one begin before its own last reply is here,
 * which is how messages are pipelined; a call that must be alone waits for all before it.
 */

type Entry = { readonly alone: boolean; readonly start: () => void };

/** A queue of turns on one session. */
export class Turns {
  #waiting: Entry[] = [];
  #first = 0;
  #running = 0;
  #taken = false;
  #advancing = false;

  /** How many calls have begun or wait. */
  get length(): number {
    return this.#running + this.#waiting.length - this.#first;
  }

  /** Runs `task` when all calls before it are settled, and lets none begin before it is. */
  alone<T>(task: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    return this.#enter(true, task, signal);
  }

  /**
   * Runs `task` when the call before it has let go. The task calls `letGo` when the next one may begin:
   * that one begins within this call, so that both can leave in one write.
   */
  shared<T>(task: (letGo: () => void) => Promise<T>, signal?: AbortSignal): Promise<T> {
    return this.#enter(false, task, signal);
  }

  #enter<T>(alone: boolean, task: (letGo: () => void) => Promise<T>, signal: AbortSignal | undefined): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const withdraw = (): void => {
        this.#waiting = this.#waiting.slice(this.#first).filter((other) => other !== entry);
        this.#first = 0;
        reject(signal?.reason);
        this.#advance();
      };
      const start = (): void => {
        signal?.removeEventListener("abort", withdraw);
        this.#run(task).then(resolve, reject);
      };
      const entry: Entry = { alone, start };
      if (signal?.aborted) return reject(signal.reason);
      signal?.addEventListener("abort", withdraw, { once: true });
      this.#waiting.push(entry);
      this.#advance();
    });
  }

  async #run<T>(task: (letGo: () => void) => Promise<T>): Promise<T> {
    let holds = true;
    const letGo = (): void => {
      if (!holds) return;
      holds = false;
      this.#taken = false;
      this.#advance();
    };
    this.#taken = true;
    this.#running++;
    try {
      return await task(letGo);
    } finally {
      this.#running--;
      if (holds) letGo();
      else this.#advance();
    }
  }

  /** A call that lets the next one begin while it begins itself is not gone into any deeper: thousands may wait. */
  #advance(): void {
    if (this.#advancing) return;
    this.#advancing = true;
    for (;;) {
      const next = this.#waiting[this.#first];
      if (next === undefined || this.#taken || (next.alone && this.#running > 0)) break;
      this.#first++;
      next.start();
    }
    this.#advancing = false;
    // Taking each from the front of the array would move all the others, every time.
    if (this.#first < 1024 && this.#first < this.#waiting.length) return;
    this.#waiting = this.#waiting.slice(this.#first);
    this.#first = 0;
  }
}
