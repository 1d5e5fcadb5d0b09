/**
 * Whose turn it is on a session. Calls wait in the order in which they were made. A call may let the next one begin before
 * its own last reply is here, which is how messages are pipelined; a call that must be alone waits for all before it.
 */
import { callerContext, type InContext } from "./caller-context.ts";

/** A call that waits for its turn, or has it. It is its own link in the queue. */
export abstract class Call {
  /** True while it has the turn: no other call may begin. Kept by the queue. */
  active = false;
  /** The context of the call, where it is not the one in which the call is started; a call that waits is started by another one. */
  within: InContext | undefined;
  /** The neighbours in the queue. Kept by the queue. */
  before: Call | undefined;
  after: Call | undefined;
  /** True while it waits in a queue. Kept by the queue. */
  queued = false;

  /** True if no other call may be under way at the same time. */
  abstract readonly alone: boolean;

  /** Begins the call, which calls the queue's `release()` and `end()` later. */
  abstract start(): void;
}

/** Provides calls that wait elsewhere: the messages of a pool. */
export type CallSource = { next(): Call | undefined };

/** The calls on one session: those that wait, and those that are under way. */
export class CallQueue {
  readonly #source: CallSource | undefined;
  #first: Call | undefined;
  #last: Call | undefined;
  #running = 0;
  /** True while a call has the turn. */
  #busy = false;
  #advancing = false;

  /** `source` is asked for a call when the turn is free and none waits here. */
  constructor(source?: CallSource) {
    this.#source = source;
  }

  /** Runs `task` when all calls before it are settled, and lets none begin before it is. */
  alone<T>(task: () => Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const call = new ExclusiveCall(this, task, resolve, reject);
      this.enqueue(call);
      if (!call.active) call.within = callerContext();
    });
  }

  /** Starts the call when those before it have released their turn: at once, if they have. */
  enqueue(call: Call): void {
    call.before = this.#last;
    call.after = undefined;
    call.queued = true;
    if (this.#last === undefined) this.#first = call;
    else this.#last.after = call;
    this.#last = call;
    this.advance();
  }

  /** Takes back a call that waits. */
  cancel(call: Call): void {
    if (!call.queued) return;
    this.#remove(call);
    this.advance();
  }

  /** The next call may begin. It does so now, so that what it sends can leave in one write with what this one sent. */
  release(call: Call): void {
    if (!call.active) return;
    call.active = false;
    this.#busy = false;
    this.advance();
  }

  /** The call is over. Call this once. */
  end(call: Call): void {
    this.#running--;
    if (call.active) this.release(call);
    else this.advance();
  }

  /** Starts what can be started. A call that releases its turn while it starts is not followed any deeper: thousands may wait. */
  advance(): void {
    if (this.#advancing) return;
    this.#advancing = true;
    for (let call = this.#next(); call !== undefined; call = this.#next()) {
      this.#running++;
      this.#busy = call.active = true;
      if (call.within === undefined) call.start();
      else startWithin(call, call.within);
    }
    this.#advancing = false;
  }

  /** The call that may begin now. */
  #next(): Call | undefined {
    if (this.#busy) return undefined;
    const call = this.#first;
    if (call === undefined) return this.#source?.next();
    if (call.alone && this.#running > 0) return undefined;
    this.#remove(call);
    return call;
  }

  #remove(call: Call): void {
    const { before, after } = call;
    if (before === undefined) this.#first = after;
    else before.after = after;
    if (after === undefined) this.#last = before;
    else after.before = before;
    call.before = call.after = undefined;
    call.queued = false;
  }
}

function startWithin(call: Call, within: InContext): void {
  within(() => call.start());
}

/** A call that has the session to itself. */
class ExclusiveCall<T> extends Call {
  readonly alone = true;
  readonly #queue: CallQueue;
  readonly #task: () => Promise<T>;
  readonly #resolve: (value: T) => void;
  readonly #reject: (error: unknown) => void;

  constructor(queue: CallQueue, task: () => Promise<T>, resolve: (value: T) => void, reject: (error: unknown) => void) {
    super();
    this.#queue = queue;
    this.#task = task;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  start(): void {
    void this.#run();
  }

  async #run(): Promise<void> {
    await new Promise<T>((done) => done(this.#task())).then(this.#resolve, this.#reject);
    this.#queue.end(this);
  }
}
