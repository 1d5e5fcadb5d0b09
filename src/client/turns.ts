/**
 * Who may speak: calls queue in call order. A call may let the next one begin before its own last reply is here,
 * which is how messages are pipelined; a call that must be alone waits for all before it.
 */
import { callerContext } from "./caller-context.ts";

/** A call that waits for its turn, or has it. */
export type Call = {
  /** True if no other call may be under way at the same time. */
  readonly alone: boolean;
  /** True while it has the turn: no other call may begin. Kept by `Turns`. */
  holds: boolean;
  /** Begins the call, which says `letGo` and `end` later. */
  start: () => void;
};

/** A queue of turns on one session. */
export type Turns = {
  /** Runs `task` when all calls before it are settled, and lets none begin before it is. */
  alone<T>(task: () => Promise<T>): Promise<T>;
  /** Starts the call when those before it have let go: at once, if they have. */
  enter(call: Call): void;
  /** Takes back a call that waits. */
  withdraw(call: Call): void;
  /** The next call may begin. It does so now, so that what it sends can leave in one write with what this one did. */
  letGo(call: Call): void;
  /** The call is over. To be said once. */
  end(call: Call): void;
};

/** A call that waits is started by another one, and yet runs in the context in which it was made. */
export function inContextOfNow(call: { start(): void }): void {
  const within = callerContext();
  const { start } = call;
  call.start = () => within(start);
}

/** An empty queue. */
export function makeTurns(): Turns {
  let waiting: (Call | undefined)[] = [];
  let first = 0;
  let running = 0;
  let taken = false;
  let advancing = false;

  function enter(call: Call): void {
    waiting.push(call);
    advance();
  }

  function letGo(call: Call): void {
    if (!call.holds) return;
    call.holds = false;
    taken = false;
    advance();
  }

  function end(call: Call): void {
    running--;
    if (call.holds) letGo(call);
    else advance();
  }

  function clear(rest: (Call | undefined)[]): void {
    waiting = rest;
    first = 0;
  }

  /** A call that lets the next one begin while it begins itself is not gone into any deeper: thousands may wait. */
  function advance(): void {
    if (advancing) return;
    advancing = true;
    for (;;) {
      const next = waiting[first];
      if (!next || taken || (next.alone && running > 0)) break;
      // What is over is not kept.
      waiting[first++] = undefined;
      running++;
      taken = next.holds = true;
      next.start();
    }
    advancing = false;
    // Taking each from the front of the array would move all the others, every time.
    if (first >= 1024) clear(waiting.slice(first));
  }

  return {
    alone<T>(task: () => Promise<T>) {
      return new Promise<T>((resolve, reject) => {
        const run = async (): Promise<void> => {
          await new Promise<T>((done) => done(task())).then(resolve, reject);
          end(call);
        };
        const call: Call = { alone: true, holds: false, start: () => void run() };
        enter(call);
        if (!call.holds) inContextOfNow(call);
      });
    },

    enter,

    withdraw(call) {
      clear(waiting.slice(first).filter((other) => other !== call));
      advance();
    },

    letGo,
    end,
  };
}
