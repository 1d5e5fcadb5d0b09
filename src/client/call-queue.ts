/**
 * Decides which call may use a session. Calls wait in the order in which they were made. A call may let the next one
 * begin before its own last reply arrives, which pipelines messages; an exclusive call waits for all before it.
 */
import { callerContext, type InContext } from "./caller-context.ts";

/** A call that waits for its turn, or has it. It links itself to its neighbours in the queue. */
export abstract class Call {
  /** True while the call has the turn: no other call may begin. Set by the queue. */
  active = false;
  /** The context in which to start the call, if not the current one: another call starts a waiting one. */
  within: InContext | undefined;
  /** The neighbours in the queue. Set by the queue. */
  before: Call | undefined;
  after: Call | undefined;
  /** True while the call waits in a queue. Set by the queue. */
  queued = false;

  /** True if no other call may run at the same time. */
  abstract readonly alone: boolean;

  /** Begins the call, which later calls the queue's `release()` and `end()`. */
  abstract start(): void;
}

/** Supplies calls that wait elsewhere: the messages of a pool. */
export type CallSource = { next(): Call | undefined };

/** The calls of one session: waiting and running ones. */
export class CallQueue {
  readonly #source: CallSource | undefined;
  #first: Call | undefined;
  #last: Call | undefined;
  #running = 0;
  /** True while a call has the turn. */
  #busy = false;
  #advancing = false;

  /** Gets a call from `source` when the turn is free and no call waits here. */
  constructor(source?: CallSource) {
    this.#source = source;
  }

  /** Runs `task` after all calls before it are settled; no other call begins before `task` settles. */
  alone<T>(task: () => Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const call = new ExclusiveCall(this, task, resolve, reject);
      this.enqueue(call);
      if (!call.active) call.within = callerContext();
    });
  }

  /** Starts the call when those before it have released their turn, at once if they have. */
  enqueue(call: Call): void {
    call.before = this.#last;
    call.after = undefined;
    call.queued = true;
    if (this.#last === undefined) this.#first = call;
    else this.#last.after = call;
    this.#last = call;
    this.advance();
  }

  /** Removes a waiting call. */
  cancel(call: Call): void {
    if (!call.queued) return;
    this.#remove(call);
    this.advance();
  }

  /** Starts the next call, at once, so that its bytes can leave in one write with those of this call. */
  release(call: Call): void {
    if (!call.active) return;
    call.active = false;
    this.#busy = false;
    this.advance();
  }

  /** Ends the call. Call this once. */
  end(call: Call): void {
    this.#running--;
    if (call.active) this.release(call);
    else this.advance();
  }

  /** Starts all calls that may begin. A call that releases its turn while it starts causes no recursion. */
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

  /** The call that may begin now, if any. */
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

/** A call that has exclusive use of the session. */
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
