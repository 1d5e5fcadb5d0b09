/** The unsettled messages of a pool: their order, their deadlines and their outcomes. */
import type { InContext } from "../client/caller-context.ts";
import { copyOf } from "../client/caller-stack.ts";
import { discard } from "../client/content.ts";
import type { MessageRequest } from "../client/delivery.ts";
import type { Delivery } from "../client/outcome.ts";
import { type Caller, PendingCall, type ReadOutcome } from "../client/pending-call.ts";
import { timedOut } from "../client/session-end.ts";
import { SMTPException, SMTPServerDisconnected } from "../errors.ts";
import { Job, JobList } from "./job.ts";
import { NEVER } from "./timer.ts";

/** The maximum number of waiting messages, and the maximum seconds of a whole delivery. */
export type QueueLimits = { readonly maxQueue: number; readonly total: number | undefined };

/** The parts of the pool that its queue needs. */
export type QueueOwner = {
  /** Called when a message that can be sent is added. */
  arrived(): void;
  /** Requests a call of `expire()` at this time. */
  wakeAt(time: number): void;
  /** The reason why no connection can be made now; `undefined` if one can. */
  connectError(): { readonly error: unknown } | undefined;
  /** True if connecting has failed since the last delivery. */
  hasFailed(): boolean;
  /** Called when the first unsettled message arrives, and when none is left. */
  busy(isBusy: boolean): void;
};

/**
 * The number of microtask ticks for which a place stays reserved after `ready()` resolves. A timer would reserve it for
 * ever under a test runner's fake timers.
 */
const RESERVATION_TICKS = 50;

/** The messages of a pool. */
export class MessageQueue {
  /** Messages that can be sent, in the order of the calls. */
  readonly pending: JobList = new JobList();
  /** Messages that are sent a second time, each on a connection that sent nothing before, if one can be opened. */
  readonly retries: JobList = new JobList();
  /** The number of messages that were delivered, and of those that were not. */
  sent = 0;
  failed = 0;
  readonly #limits: QueueLimits;
  readonly #owner: QueueOwner;
  /** Messages with a deadline, in the order of the calls, which is also that of the deadlines. */
  readonly #bounded = new Set<Job>();
  /** Messages whose content or envelope is still being prepared. */
  readonly #preparing = new Set<Job>();
  #calls = 0;
  /** Places reserved by `ready()` for callers that have not called yet. */
  #reserved = 0;
  /** Ticks until the reservations expire; 0: there are none. */
  #ticksLeft = 0;
  #closed: { readonly cause: unknown } | undefined;
  #roomWaiters: (() => void)[] = [];
  #drainWaiters: (() => void)[] = [];

  constructor(limits: QueueLimits, owner: QueueOwner) {
    this.#limits = limits;
    this.#owner = owner;
  }

  /** The number of messages that wait, including those that are being prepared. */
  get size(): number {
    return this.pending.length + this.retries.length + this.#preparing.size;
  }

  /** True once the queue accepts no more messages. */
  get closed(): boolean {
    return this.#closed !== undefined;
  }

  /**
   * Adds a message; resolves with the value that `read` makes of its outcome. `within`: the asynchronous context of the
   * call, for callbacks.
   * Rejects with an {SMTPException}, "not-sent", if the queue is closed or full.
   */
  enqueue<Result>(
    request: MessageRequest | Promise<MessageRequest>,
    signal: AbortSignal | undefined,
    read: ReadOutcome<Result>,
    within?: InContext | undefined,
  ): Promise<Result> {
    const call = new PendingCall(read);
    try {
      this.#enqueue(request, signal, call, within);
    } catch (error) {
      call.failed(error);
    }
    return call.promise;
  }

  #enqueue(
    request: MessageRequest | Promise<MessageRequest>,
    signal: AbortSignal | undefined,
    caller: Caller,
    within: InContext | undefined,
  ): void {
    this.checkOpen();
    this.#checkRoom();
    if (this.#reserved > 0) this.#reserved--;
    const job = this.#job(request, signal, caller);
    job.within = within;
    if (request instanceof Promise) this.#prepare(job, request);
    else this.#add(job, this.pending);
  }

  /** @throws {SMTPServerDisconnected} "not-sent", if the queue is closed */
  checkOpen(): void {
    if (this.#closed === undefined) return;
    const { cause } = this.#closed;
    throw new SMTPServerDisconnected("the pool is closed", { temporary: false, delivery: "not-sent", cause });
  }

  #checkRoom(): void {
    if (this.#room > 0) return;
    const message = `the queue of the pool is full, ${this.size} messages wait: await ready() before a call`;
    throw new SMTPException(message, { temporary: true, delivery: "not-sent" });
  }

  /** Removes the first message of a list, to send it. */
  take(list: JobList): Job | undefined {
    const job = list.take();
    job?.unwatch();
    this.#admitWaiters();
    return job;
  }

  /** Runs work for the waiting message at this index in the asynchronous context of its call. */
  runInContextOf<Result>(index: number, work: () => Result): Result {
    let job = this.retries.first ?? this.pending.first;
    for (let at = 0; at < index && job !== undefined; at++)
      job = job.following ?? (at < this.retries.length ? this.pending.first : undefined);
    return job?.within === undefined ? work() : job.within(work);
  }

  /** Requeues a message that was certainly not sent: at its place in the order, or in the retries if it was begun. */
  requeue(job: Job): void {
    const list = job.begun ? this.retries : this.pending;
    job.retried ||= job.begun;
    job.begun = false;
    this.#add(job, list);
  }

  /** Settles a message that was delivered. */
  resolve(job: Job, delivery: Delivery): void {
    this.sent++;
    this.#settle(job);
    job.reportDelivered(delivery);
  }

  /** Settles a message after a failure. */
  reject(job: Job, error: unknown): void {
    if (job.settled) return;
    this.failed++;
    job.list?.remove(job);
    this.#preparing.delete(job);
    job.unwatch();
    this.#settle(job);
    job.reportFailed(error);
    this.#admitWaiters();
  }

  /** Rejects the messages that wait and are prepared, or only those that arrived by `arrivedBy`. */
  rejectWaiting(error: unknown, arrivedBy: number = NEVER): void {
    const why = notSent(error);
    for (const list of [this.retries, this.pending]) {
      // Later arrivals are further back.
      for (let job = list.first; job !== undefined && job.since <= arrivedBy; job = list.first)
        this.reject(job, job.refusal === undefined ? why : notSent(job.refusal.error));
    }
  }

  /** The arrival of the first of the prepared messages (see `Job.since`). */
  get waitingSince(): number {
    return Math.min(this.retries.first?.since ?? NEVER, this.pending.first?.since ?? NEVER);
  }

  /** Ends messages past their deadline, and the connections that send them; returns the next deadline. */
  expire(now: number): number {
    for (const job of this.#bounded) {
      if (job.deadline > now) return job.deadline;
      this.#bounded.delete(job);
      if (job.interrupt !== undefined) job.interrupt();
      else this.reject(job, this.#timeoutError());
    }
    return NEVER;
  }

  /** The error of a message that waited until its deadline; the cause is the last failure to connect. */
  #timeoutError(): unknown {
    const error = timedOut("total", this.#limits.total).toError({ delivery: "not-sent" });
    const why = this.#owner.connectError();
    if (why !== undefined && error instanceof SMTPException) error.cause = why.error;
    return error;
  }

  /** Accepts no more messages; `cause` is the reason. */
  close(cause?: unknown): void {
    this.#closed ??= { cause };
    this.#admitWaiters();
  }

  /** Accepts no more messages, and rejects those that wait. */
  abort(reason: unknown): void {
    this.close(reason);
    this.rejectWaiting(reason);
    for (const job of [...this.#preparing]) this.reject(job, reason);
  }

  /** Resolves when there is room, which is reserved for a call that follows at once, or when the queue is closed. */
  ready(): Promise<void> {
    if (this.closed) return Promise.resolve();
    if (this.#room > this.#reserved) {
      this.#reserve(1);
      return Promise.resolve();
    }
    return new Promise((resolve) => this.#roomWaiters.push(resolve));
  }

  /** Resolves when all messages are settled. */
  drain(): Promise<void> {
    if (this.#unsettled === 0) return Promise.resolve();
    return new Promise((resolve) => this.#drainWaiters.push(resolve));
  }

  /** Retries take no room, so that reservations stay valid. */
  get #room(): number {
    return this.#limits.maxQueue - this.pending.length - this.#preparing.size;
  }

  get #unsettled(): number {
    return this.#calls - this.sent - this.failed;
  }

  #job(request: MessageRequest | Promise<MessageRequest>, signal: AbortSignal | undefined, caller: Caller): Job {
    const { total } = this.#limits;
    if (this.#unsettled === 0) this.#owner.busy(true);
    const deadline = total === undefined ? NEVER : performance.now() + total * 1000;
    const since = this.#owner.hasFailed() ? performance.now() : 0;
    const job = new Job(request, signal, caller, { number: this.#calls++, deadline, since });
    if (total !== undefined) {
      this.#bounded.add(job);
      this.#owner.wakeAt(deadline);
    }
    return job;
  }

  #prepare(job: Job, request: Promise<MessageRequest>): void {
    this.#preparing.add(job);
    job.watch((reason) => this.reject(job, reason));
    const prepared = (ready: MessageRequest): void => {
      if (!this.#preparing.delete(job)) return discard(ready.content);
      job.unwatch();
      job.request = ready;
      this.#add(job, this.pending);
    };
    request.then(prepared, (error) => this.reject(job, error));
  }

  #add(job: Job, list: JobList): void {
    list.add(job);
    job.watch((reason) => this.reject(job, reason));
    if (job.list !== undefined) this.#owner.arrived();
  }

  #settle(job: Job): void {
    job.settled = true;
    if (job.deadline !== NEVER) this.#bounded.delete(job);
    if (this.#unsettled > 0) return;
    this.#owner.busy(false);
    for (const resolve of this.#drainWaiters.splice(0)) resolve();
  }

  #admitWaiters(): void {
    if (this.#roomWaiters.length === 0) return;
    const count = this.closed ? this.#roomWaiters.length : Math.max(0, this.#room - this.#reserved);
    const admitted = this.#roomWaiters.splice(0, count);
    if (!this.closed) this.#reserve(admitted.length);
    for (const resolve of admitted) resolve();
  }

  /** Reserves places for callers of `ready()` until they have had the time to call. */
  #reserve(places: number): void {
    if (places === 0) return;
    this.#reserved += places;
    const isExpiring = this.#ticksLeft > 0;
    this.#ticksLeft = RESERVATION_TICKS;
    if (!isExpiring) void this.#expireReservations();
  }

  async #expireReservations(): Promise<void> {
    while (this.#ticksLeft > 0) {
      await undefined;
      this.#ticksLeft--;
    }
    this.#reserved = 0;
    this.#admitWaiters();
  }
}

/** Returns a copy of the error with `delivery` "not-sent", since `check()` may reject with the same error. */
function notSent(error: unknown): unknown {
  if (!(error instanceof SMTPException) || error.delivery !== undefined) return error;
  const copy = copyOf(error, error.stack ?? "");
  if (copy instanceof SMTPException) copy.delivery = "not-sent";
  return copy;
}
