/** A message on its way through the pool, and the queue in which messages wait: any of them may leave it at any time. */
import { onAbort } from "../client/abort.ts";
import type { InContext } from "../client/caller-context.ts";
import type { Delivery } from "../client/outcome.ts";
import { discard } from "../client/source.ts";
import type { Request } from "../facade/delivery.ts";
import { NEVER } from "./alarm.ts";

/** A message that was given to the pool and is not settled. */
export class Job {
  /** The place in the order of the calls. */
  readonly number: number;
  /** Aborting it ends the delivery. */
  readonly signal: AbortSignal | undefined;
  /** When the delivery has to be over, by `performance.now()`. */
  readonly deadline: number;
  /** When it came, if no connection could be made at that time; else 0: its time begins with the first failure. */
  readonly since: number;
  /** The checked message; undefined while it is being prepared. */
  request: Request | undefined;
  /** The queue that it waits in. */
  queue: JobQueue | undefined;
  /** The context of its call, where code of the caller's may run. */
  within: InContext | undefined;
  /** True once a connection began to send it. */
  begun = false;
  /** True if it went back into the queue after a connection was found dead. */
  retried = false;
  /** True if its deadline passed while it was being sent. */
  late = false;
  /** True once the outcome was told. */
  settled = false;
  /** Ends the connection that sends it, because its deadline has passed; set while it is being sent. */
  interrupt: (() => void) | undefined;
  /** The neighbours in the queue. */
  before: Job | undefined;
  after: Job | undefined;
  readonly #resolve: (delivery: Delivery) => void;
  readonly #reject: (error: unknown) => void;
  #unlink: (() => void) | undefined;

  constructor(
    number: number,
    resolve: (delivery: Delivery) => void,
    reject: (error: unknown) => void,
    signal: AbortSignal | undefined,
    deadline: number,
    since: number,
  ) {
    this.number = number;
    this.#resolve = resolve;
    this.#reject = reject;
    this.signal = signal;
    this.deadline = deadline;
    this.since = since;
  }

  /** True if the caller may end the delivery, and its connection with it: nobody else's outcome may hang on that. */
  get abortable(): boolean {
    return this.signal !== undefined || this.deadline !== NEVER;
  }

  /** True once a piece of the content was sent, or a source was asked for one that it cannot give again. */
  get contentBegun(): boolean {
    return this.request?.content.begun === true;
  }

  /** Calls back when the caller's signal fires, until `unwatch()`. */
  watch(aborted: (reason: unknown) => void): void {
    if (this.signal !== undefined) this.#unlink = onAbort(this.signal, aborted);
  }

  /** Ends `watch()`. */
  unwatch(): void {
    this.#unlink?.();
    this.#unlink = undefined;
  }

  /** The message was delivered. */
  resolve(delivery: Delivery): void {
    this.#resolve(delivery);
  }

  /** The message was not delivered; a body that nobody began to read is given back before that is told. */
  reject(error: unknown): void {
    const content = this.request?.content;
    if (content === undefined || content.bytes !== undefined || content.begun) return this.#reject(error);
    discard(content);
    this.#reject(error);
  }
}

/** Messages in the order of the calls. Each operation takes the same time however many wait. */
export class JobQueue {
  /** How many wait. */
  length = 0;
  /** The one whose turn is next. */
  first: Job | undefined;
  #last: Job | undefined;

  /** Adds a message at its place: at the end, but for those that were taken out before. */
  add(job: Job): void {
    let before = this.#last;
    if (before !== undefined && before.number > job.number) before = this.#lastBefore(job.number);
    const after = before === undefined ? this.first : before.after;
    job.before = before;
    job.after = after;
    if (before === undefined) this.first = job;
    else before.after = job;
    if (after === undefined) this.#last = job;
    else after.before = job;
    job.queue = this;
    this.length++;
  }

  /** Takes the first one out. */
  take(): Job | undefined {
    const job = this.first;
    if (job !== undefined) this.remove(job);
    return job;
  }

  /** Takes one out that is in it. */
  remove(job: Job): void {
    const { before, after } = job;
    if (before === undefined) this.first = after;
    else before.after = after;
    if (after === undefined) this.#last = before;
    else after.before = before;
    job.before = undefined;
    job.after = undefined;
    job.queue = undefined;
    this.length--;
  }

  /** Who comes back was at the front: the search begins there. */
  #lastBefore(number: number): Job | undefined {
    let found: Job | undefined;
    for (let next = this.first; next !== undefined && next.number < number; next = next.after) found = next;
    return found;
  }
}
