/** A message of the pool, and the linked list in which messages wait: any of them may leave it at any time. */
import { onAbort } from "../client/abort.ts";
import type { Connection } from "../client/connection.ts";
import { discard } from "../client/content.ts";
import { MessageDelivery, type MessageRequest } from "../client/delivery.ts";
import type { Delivery } from "../client/outcome.ts";
import type { Caller } from "../client/pending-call.ts";
import type { Session } from "../client/session.ts";
import { NEVER } from "./timer.ts";

/** The connection that sends a message, reduced to the message's needs. */
export type Carrier = {
  /** True if the connection ends with the last received reply. */
  readonly ends: boolean;
  /** Called when the message begins. */
  began(job: Job): void;
  /** Called when the message was delivered. */
  delivered(job: Job, outcome: Delivery): void;
  /** Called when the delivery fails. */
  failed(job: Job, error: unknown): void;
};

/** Schedules microtasks; fake timers of a test runner may hold `queueMicrotask` back. */
const SETTLED = Promise.resolve();

/** A message of the pool that is not settled. */
export class Job extends MessageDelivery {
  /** The position in the order of the calls. */
  readonly number: number;
  /** The deadline of the delivery, as of `performance.now()`. */
  readonly deadline: number;
  /** The arrival, if connecting has failed since the last delivery; otherwise 0: it waits from the first failure on. */
  readonly since: number;
  /** The list in which the message waits. */
  list: JobList | undefined;
  /** The connection that sends the message. */
  carrier: Carrier | undefined;
  /** True once a connection began to send the message. */
  begun = false;
  /** True if the message was requeued after its connection turned out to be dead. */
  retried = false;
  /** The 421 to this message when it was requeued. Other waiting messages get only the loss of a connection. */
  refusal: { readonly error: unknown } | undefined;
  /** True if the deadline passed while the message was being sent. */
  late = false;
  /** True once the caller has the outcome. */
  settled = false;
  /** Ends the connection that sends the message after its deadline; set while it is being sent. */
  interrupt: (() => void) | undefined;
  /** The neighbours in the list. */
  previous: Job | undefined;
  following: Job | undefined;
  readonly #caller: Caller;
  #unlink: (() => void) | undefined;

  constructor(
    request: MessageRequest | Promise<MessageRequest>,
    signal: AbortSignal | undefined,
    caller: Caller,
    { number, deadline, since }: { number: number; deadline: number; since: number },
  ) {
    super(request, signal);
    this.#caller = caller;
    this.number = number;
    this.deadline = deadline;
    this.since = since;
  }

  /** True if the caller can end the delivery, and the connection with it: no other message may depend on it. */
  get abortable(): boolean {
    return this.signal !== undefined || this.deadline !== NEVER;
  }

  /** True once some content was sent, or was read from a source that cannot return it again. */
  get contentBegun(): boolean {
    return !(this.request instanceof Promise) && this.request.content.begun === true;
  }

  /** The number of recipients. */
  get recipients(): number {
    return this.request instanceof Promise ? 1 : this.request.to.length;
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

  /** Reports the delivery to the caller. */
  reportDelivered(outcome: Delivery): void {
    this.#caller.delivered(outcome);
  }

  /** Reports the failure to the caller, after releasing an unread body. */
  reportFailed(error: unknown): void {
    if (!(this.request instanceof Promise)) discard(this.request.content);
    this.#caller.failed(error);
  }

  protected override begin(session: Session, connection: Connection, request: MessageRequest): void {
    this.carrier?.began(this);
    super.begin(session, connection, request);
  }

  /** Reports the delivery; if the session ends with this reply, only after it has ended. */
  protected delivered(outcome: Delivery): void {
    const { carrier } = this;
    if (carrier?.ends) void SETTLED.then(() => carrier.delivered(this, outcome));
    else carrier?.delivered(this, outcome);
  }

  /** Reports the failure, after the connection has ended if it ends with it. */
  protected failed(error: unknown): void {
    const { carrier } = this;
    void SETTLED.then(() => carrier?.failed(this, error));
  }
}

/** Messages in the order of the calls. Only adding a requeued message takes a search. */
export class JobList {
  /** The number of messages. */
  length = 0;
  /** The next message. */
  first: Job | undefined;
  #last: Job | undefined;

  /** Adds a message by its number: at the end, unless it was removed before. */
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
    job.list = this;
    this.length++;
  }

  /** Removes the first message. */
  take(): Job | undefined {
    const job = this.first;
    if (job !== undefined) this.remove(job);
    return job;
  }

  /** Removes a message, which must be in this list. */
  remove(job: Job): void {
    const { previous: before, following: after } = job;
    if (before === undefined) this.first = after;
    else before.following = after;
    if (after === undefined) this.#last = before;
    else after.previous = before;
    job.previous = undefined;
    job.following = undefined;
    job.list = undefined;
    this.length--;
  }

  /** Requeued messages belong near the front, so the search starts there. */
  #lastBefore(number: number): Job | undefined {
    let found: Job | undefined;
    for (let next = this.first; next !== undefined && next.number < number; next = next.following) found = next;
    return found;
  }
}
