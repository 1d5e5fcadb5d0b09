/** A message on its way through the pool, and the queue in which messages wait: any of them may leave it at any time. */
import { onAbort } from "../client/abort.ts";
import type { Connection } from "../client/connection.ts";
import { discard } from "../client/content.ts";
import { MessageDelivery, type MessageRequest } from "../client/delivery.ts";
import type { Delivery } from "../client/outcome.ts";
import type { Session } from "../client/session.ts";
import { NEVER } from "./alarm.ts";

/** The connection that sends a message, and learns what becomes of it. */
export type Carrier = {
  /** True if the connection ends with what came last. */
  readonly ends: boolean;
  /** The message begins. */
  began(job: Job): void;
  /** The message was delivered. */
  delivered(job: Job, outcome: Delivery): void;
  /** The message was not delivered. */
  failed(job: Job, error: unknown): void;
};

/** Calls back next; a test's fake clock may hold `queueMicrotask` back. */
const SETTLED = Promise.resolve();

/** A message that was given to the pool and is not settled. */
export class Job extends MessageDelivery {
  /** The place in the order of the calls. */
  readonly number: number;
  /** When the delivery has to be over, by `performance.now()`. */
  readonly deadline: number;
  /** When it came, if no connection could be made at that time; else 0: its time begins with the first failure. */
  readonly since: number;
  /** The queue that it waits in. */
  queue: JobQueue | undefined;
  /** The connection that it goes by. */
  carrier: Carrier | undefined;
  /** True once a connection began to send it. */
  begun = false;
  /** True if it went back into the queue after a connection was found dead. */
  retried = false;
  /** What it was refused with when it was put back: its own 421. What waits with it is told of a lost connection. */
  refusal: { readonly error: unknown } | undefined;
  /** True if its deadline passed while it was being sent. */
  late = false;
  /** True once the outcome was told. */
  settled = false;
  /** Ends the connection that sends it, because its deadline has passed; set while it is being sent. */
  interrupt: (() => void) | undefined;
  /** The neighbours in the queue. */
  previous: Job | undefined;
  following: Job | undefined;
  readonly #resolve: (delivery: Delivery) => void;
  readonly #reject: (error: unknown) => void;
  #unlink: (() => void) | undefined;

  constructor(
    request: MessageRequest | Promise<MessageRequest>,
    signal: AbortSignal | undefined,
    resolve: (delivery: Delivery) => void,
    reject: (error: unknown) => void,
    { number, deadline, since }: { number: number; deadline: number; since: number },
  ) {
    super(request, signal);
    this.#resolve = resolve;
    this.#reject = reject;
    this.number = number;
    this.deadline = deadline;
    this.since = since;
  }

  /** True if the caller may end the delivery, and its connection with it: nobody else's outcome may hang on that. */
  get abortable(): boolean {
    return this.signal !== undefined || this.deadline !== NEVER;
  }

  /** True once a piece of the content was sent, or a source was asked for one that it cannot give again. */
  get contentBegun(): boolean {
    return !(this.request instanceof Promise) && this.request.content.begun === true;
  }

  /** How many recipients it has. */
  get recipients(): number {
    return this.request instanceof Promise ? 1 : this.request.recipients.length;
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

  /** Tells the caller that the message was delivered. */
  tellDelivered(outcome: Delivery): void {
    this.#resolve(outcome);
  }

  /** Tells the caller that the message was not delivered; a body that nobody began to read is released before. */
  tellFailed(error: unknown): void {
    if (!(this.request instanceof Promise)) discard(this.request.content);
    this.#reject(error);
  }

  protected override begin(session: Session, connection: Connection, request: MessageRequest): void {
    this.carrier?.began(this);
    super.begin(session, connection, request);
  }

  /** A session that ends with this reply has ended before the pool learns of it. */
  protected delivered(outcome: Delivery): void {
    const { carrier } = this;
    if (carrier?.ends) void SETTLED.then(() => carrier.delivered(this, outcome));
    else carrier?.delivered(this, outcome);
  }

  /** A connection that ends with this has ended before the pool learns of it. */
  protected failed(error: unknown): void {
    const { carrier } = this;
    void SETTLED.then(() => carrier?.failed(this, error));
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
    const after = before === undefined ? this.first : before.following;
    job.previous = before;
    job.following = after;
    if (before === undefined) this.first = job;
    else before.following = job;
    if (after === undefined) this.#last = job;
    else after.previous = job;
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
    const { previous: before, following: after } = job;
    if (before === undefined) this.first = after;
    else before.following = after;
    if (after === undefined) this.#last = before;
    else after.previous = before;
    job.previous = undefined;
    job.following = undefined;
    job.queue = undefined;
    this.length--;
  }

  /** Who comes back was at the front: the search begins there. */
  #lastBefore(number: number): Job | undefined {
    let found: Job | undefined;
    for (let next = this.first; next !== undefined && next.number < number; next = next.following) found = next;
    return found;
  }
}
