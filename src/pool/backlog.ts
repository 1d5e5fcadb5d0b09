/** The messages that were given to a pool and are not settled: those that wait, their order, their deadlines, and their end. */

import type { InContext } from "../client/caller-context.ts";
import { copyOf } from "../client/caller-stack.ts";
import { discard } from "../client/content.ts";
import type { MessageRequest } from "../client/delivery.ts";
import type { Delivery } from "../client/outcome.ts";
import { timedOut } from "../client/session-end.ts";
import { SMTPException, SMTPServerDisconnected } from "../errors.ts";
import { NEVER } from "./alarm.ts";
import { Job, JobQueue } from "./job.ts";

/** How much may wait, and how long a delivery may take in all; seconds. */
export type BacklogLimits = { readonly maxQueue: number; readonly total: number | undefined };

/** Who sends the messages. */
export type BacklogOwner = {
  /** A message waits that can be sent. */
  arrived(): void;
  /** A deadline has to be looked at, at this moment. */
  wakeAt(moment: number): void;
  /** Why no connection can be made at present; undefined if that is not so. */
  whyNone(): { readonly error: unknown } | undefined;
  /** There are messages that are not settled, or none any more. */
  busy(isBusy: boolean): void;
};

/**
 * How long a place is kept for a caller that awaits `ready()`, in turns of the microtask queue: a timer would keep it
 * for ever where time stands still, as it does under a test runner's fake timers.
 */
const TURNS_TO_CALL = 50;

/** The messages of a pool. */
export class Backlog {
  /** Messages that can be sent, in the order of the calls. */
  readonly queue: JobQueue = new JobQueue();
  /** Messages that go a second time, each by a connection on which nothing was sent before, if one can be opened. */
  readonly again: JobQueue = new JobQueue();
  /** How many were delivered, and how many were not. */
  sent = 0;
  failed = 0;
  readonly #limits: BacklogLimits;
  readonly #owner: BacklogOwner;
  /** Messages that have a deadline, in the order of the calls: all deadlines are equally far from their calls. */
  readonly #bounded = new Set<Job>();
  /** Messages that are taken and cannot be sent yet. */
  readonly #preparing = new Set<Job>();
  #calls = 0;
  /** How many who were told that there is room have not called yet. */
  #promised = 0;
  /** How many turns are left to those who were told; 0: nobody's place lapses. */
  #turnsLeft = 0;
  #closed: { readonly cause: unknown } | undefined;
  #waitingForRoom: (() => void)[] = [];
  #waitingForNone: (() => void)[] = [];

  constructor(limits: BacklogLimits, owner: BacklogOwner) {
    this.#limits = limits;
    this.#owner = owner;
  }

  /** How many messages wait, those that are being prepared included. */
  get waiting(): number {
    return this.queue.length + this.again.length + this.#preparing.size;
  }

  /** True once no more messages are taken. */
  get closed(): boolean {
    return this.#closed !== undefined;
  }

  /**
   * Takes a message, and gives its outcome. `within`: the context of its call, where code of the caller's may run.
   * @throws {SMTPException} "not-sent", if no more are taken, or too many wait
   */
  enter(
    request: MessageRequest | Promise<MessageRequest>,
    signal: AbortSignal | undefined,
    within?: InContext | undefined,
  ): Promise<Delivery> {
    return new Promise((resolve, reject) => {
      this.checkOpen();
      this.#checkRoom();
      if (this.#promised > 0) this.#promised--;
      const job = this.#job(request, signal, resolve, reject);
      job.within = within;
      if (request instanceof Promise) this.#prepare(job, request);
      else this.#enqueue(job, this.queue);
    });
  }

  /** @throws {SMTPServerDisconnected} "not-sent", if no more messages are taken */
  checkOpen(): void {
    if (this.#closed === undefined) return;
    const { cause } = this.#closed;
    throw new SMTPServerDisconnected("the pool is closed", { temporary: false, delivery: "not-sent", cause });
  }

  #checkRoom(): void {
    if (this.#room > 0) return;
    const message = `the queue of the pool is full, ${this.waiting} messages wait: await ready() before a call`;
    throw new SMTPException(message, { temporary: true, delivery: "not-sent" });
  }

  /** Takes the next message out, to send it. */
  take(queue: JobQueue): Job | undefined {
    const job = queue.take();
    job?.unwatch();
    this.#roomier();
    return job;
  }

  /** Runs work that is done for the message at this place of those that wait, in the context of its call. */
  inContextOf<Result>(place: number, work: () => Result): Result {
    let job = this.again.first ?? this.queue.first;
    for (let at = 0; at < place && job !== undefined; at++)
      job = job.following ?? (at < this.again.length ? this.queue.first : undefined);
    return job?.within === undefined ? work() : job.within(work);
  }

  /** A message comes back that was certainly not sent: to its place in the queue, or, if it was begun, to go again. */
  putBack(job: Job): void {
    const queue = job.begun ? this.again : this.queue;
    job.retried ||= job.begun;
    job.begun = false;
    this.#enqueue(job, queue);
  }

  /** A message was delivered. */
  resolve(job: Job, delivery: Delivery): void {
    this.sent++;
    this.#over(job);
    job.tellDelivered(delivery);
  }

  /** A message was not delivered. */
  reject(job: Job, error: unknown): void {
    if (job.settled) return;
    this.failed++;
    job.queue?.remove(job);
    this.#preparing.delete(job);
    job.unwatch();
    this.#over(job);
    job.tellFailed(error);
    this.#roomier();
  }

  /** None of the messages that can be sent will be; or none of those that came by this moment. */
  rejectWaiting(error: unknown, cameBy: number = NEVER): void {
    const why = notSent(error);
    for (const queue of [this.again, this.queue]) {
      // Those that came later are further back.
      for (let job = queue.first; job !== undefined && job.since <= cameBy; job = queue.first)
        this.reject(job, job.refusal === undefined ? why : notSent(job.refusal.error));
    }
  }

  /** When the first of those came that can be sent, as far as that matters to how long it waits. */
  get waitingSince(): number {
    return Math.min(this.again.first?.since ?? NEVER, this.queue.first?.since ?? NEVER);
  }

  /** Ends what has passed its deadline; messages that are being sent end with their connection. Gives the next deadline. */
  expire(now: number): number {
    for (const job of this.#bounded) {
      if (job.deadline > now) return job.deadline;
      this.#bounded.delete(job);
      if (job.interrupt !== undefined) job.interrupt();
      else this.reject(job, this.#outOfTime());
    }
    return NEVER;
  }

  /** What a message is rejected with that waited until its deadline, with what it waited for. */
  #outOfTime(): unknown {
    const error = timedOut("total", this.#limits.total).toError({ delivery: "not-sent" });
    const why = this.#owner.whyNone();
    if (why !== undefined && error instanceof SMTPException) error.cause = why.error;
    return error;
  }

  /** Takes no more messages; `cause` is why. */
  close(cause?: unknown): void {
    this.#closed ??= { cause };
    this.#roomier();
  }

  /** Takes no more messages, and rejects those that wait. */
  abort(reason: unknown): void {
    this.close(reason);
    this.rejectWaiting(reason);
    for (const job of [...this.#preparing]) this.reject(job, reason);
  }

  /** Resolves when there is room for a message, which is kept for a call that is made at once; or none will be taken any more. */
  ready(): Promise<void> {
    if (this.closed) return Promise.resolve();
    if (this.#room > this.#promised) {
      this.#promise(1);
      return Promise.resolve();
    }
    return new Promise((resolve) => this.#waitingForRoom.push(resolve));
  }

  /** Resolves when no message is left that is not settled. */
  drain(): Promise<void> {
    if (this.#unsettled === 0) return Promise.resolve();
    return new Promise((resolve) => this.#waitingForNone.push(resolve));
  }

  /** What comes back takes no room: who was told that there is some can rely on it. */
  get #room(): number {
    return this.#limits.maxQueue - this.queue.length - this.#preparing.size;
  }

  get #unsettled(): number {
    return this.#calls - this.sent - this.failed;
  }

  #job(
    request: MessageRequest | Promise<MessageRequest>,
    signal: AbortSignal | undefined,
    resolve: (delivery: Delivery) => void,
    reject: (error: unknown) => void,
  ): Job {
    const { total } = this.#limits;
    if (this.#unsettled === 0) this.#owner.busy(true);
    const deadline = total === undefined ? NEVER : performance.now() + total * 1000;
    const since = this.#owner.whyNone() === undefined ? 0 : performance.now();
    const job = new Job(request, signal, resolve, reject, { number: this.#calls++, deadline, since });
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
      this.#enqueue(job, this.queue);
    };
    request.then(prepared, (error) => this.reject(job, error));
  }

  #enqueue(job: Job, queue: JobQueue): void {
    queue.add(job);
    job.watch((reason) => this.reject(job, reason));
    if (job.queue !== undefined) this.#owner.arrived();
  }

  #over(job: Job): void {
    job.settled = true;
    if (job.deadline !== NEVER) this.#bounded.delete(job);
    if (this.#unsettled > 0) return;
    this.#owner.busy(false);
    for (const resolve of this.#waitingForNone.splice(0)) resolve();
  }

  #roomier(): void {
    if (this.#waitingForRoom.length === 0) return;
    const woken = this.closed ? this.#waitingForRoom.length : Math.max(0, this.#room - this.#promised);
    const told = this.#waitingForRoom.splice(0, woken);
    if (!this.closed) this.#promise(told.length);
    for (const resolve of told) resolve();
  }

  /** Several may be told at a time that there is room: each has a place, until whoever does not take it has had the time. */
  #promise(places: number): void {
    if (places === 0) return;
    this.#promised += places;
    const isLapsing = this.#turnsLeft > 0;
    this.#turnsLeft = TURNS_TO_CALL;
    if (!isLapsing) void this.#lapse();
  }

  async #lapse(): Promise<void> {
    while (this.#turnsLeft > 0) {
      await undefined;
      this.#turnsLeft--;
    }
    this.#promised = 0;
    this.#roomier();
  }
}

/** What a message that was not sent is rejected with: a copy, since `check()` may reject with the same error. */
function notSent(error: unknown): unknown {
  if (!(error instanceof SMTPException) || error.delivery !== undefined) return error;
  const copy = copyOf(error, error.stack ?? "");
  if (copy instanceof SMTPException) copy.delivery = "not-sent";
  return copy;
}
