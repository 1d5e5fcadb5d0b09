/**
 * One of a pool's connections, from its opening to its end. Messages are bound to it when they can begin, and not before:
 * a connection that hangs holds no message back that another one could send.
 */
import { sendingPolicy } from "../client/chunking.ts";
import type { Connection } from "../client/connection.ts";
import type { Order } from "../client/delivery-call.ts";
import { Events } from "../client/events.ts";
import { tlsUpgrade } from "../client/implicit-tls.ts";
import type { Delivery } from "../client/outcome.ts";
import { Session } from "../client/session.ts";
import { disconnected, type SessionEnd } from "../client/session-end.ts";
import type { Message } from "../client/transaction.ts";
import { Command } from "../core/command.ts";
import { readLimits } from "../core/extensions/limits.ts";
import type { SendingPolicy, Server } from "../core/plan.ts";
import { planRequest } from "../facade/delivery.ts";
import { addressLiteral, resolveLimits } from "../facade/options.ts";
import { defaultTransport } from "../runtime.ts";
import { NEVER } from "./alarm.ts";
import type { Job } from "./job.ts";
import type { PoolSettings } from "./options.ts";
import { signOn } from "./sign-on.ts";

/** Who a connection belongs to, and is told what becomes of it. */
export type LaneOwner = {
  /** The next message that may go behind those that are on this connection already. */
  pull(lane: Lane): Job | undefined;
  /** A message begins. */
  began(): void;
  /** A message that began, or was to begin, here was delivered. */
  delivered(lane: Lane, job: Job, delivery: Delivery): void;
  /** A message that began, or was to begin, here was not delivered; `first`: nothing had been sent here before it. */
  failed(lane: Lane, job: Job, error: unknown, first: boolean): void;
  /** The connection is no longer there; it was open before. */
  ended(lane: Lane): void;
};

/** Calls back next; a test's fake clock may hold `queueMicrotask` back. */
const SETTLED = Promise.resolve();

/** A turn on the connection: it has its message from the beginning, or gets the next one when it comes. */
class Turn implements Order<undefined> {
  readonly request = undefined;
  readonly signal: AbortSignal | undefined;
  /** True if nothing was sent on the connection before. */
  readonly first: boolean;
  job: Job | undefined;
  readonly #lane: Lane;

  constructor(lane: Lane, job: Job | undefined, first: boolean) {
    this.#lane = lane;
    this.job = job;
    this.first = first;
    this.signal = job?.signal;
  }

  plan(_: undefined, server: Server): Message {
    return this.#lane.plan(this, server);
  }

  /** A session that ends with this reply has ended before the owner hears of it. */
  resolve(delivery: Delivery): void {
    if (this.#lane.ends) SETTLED.then(() => this.#lane.delivered(this, delivery));
    else this.#lane.delivered(this, delivery);
  }

  reject(error: unknown): void {
    SETTLED.then(() => this.#lane.failed(this, error));
  }
}

/** What a turn that finds nothing to do is given up with. */
const NOTHING_TO_DO: unique symbol = Symbol("nothing to do");

/** A connection of the pool's. */
export class Lane {
  /** Transactions that began here. */
  started = 0;
  /** Messages that are bound to this connection and not settled. */
  inFlight = 0;
  /** When the opening began, when it was opened, and when it was last used, by `performance.now()`. */
  readonly begunAt: number = performance.now();
  openedAt = 0;
  usedAt = 0;
  /** True once no more messages may begin here. */
  retired = false;
  /** What the server takes by one connection (RFC 9422). */
  mailMax: number = Number.POSITIVE_INFINITY;
  readonly #owner: LaneOwner;
  readonly #settings: PoolSettings;
  readonly #session: Session;
  readonly #policy: SendingPolicy;
  #rcptMax = NEVER;
  #turnWaits = false;
  /** A message that nothing may follow: in eager mode what follows would be lost with it if it is aborted. */
  #alone: Job | undefined;
  /** The first message here, until it is settled. */
  #first: Job | undefined;
  #open = false;

  constructor(owner: LaneOwner, settings: PoolSettings) {
    const { smtp, timeouts, protocol, chunking } = settings;
    const name = smtp.local_hostname;
    // The pool has a clock of its own for the whole of a delivery, which begins before there is a connection.
    const phases = { ...timeouts, total: undefined };
    this.#owner = owner;
    this.#settings = settings;
    this.#policy = sendingPolicy(smtp, chunking);
    this.#session = new Session({
      protocol,
      limits: resolveLimits(smtp.limits),
      pipelining: smtp.pipelining ?? true,
      chunking,
      timeouts: () => phases,
      localName: (peer) => name ?? addressLiteral(peer),
      events: new Events(smtp.logger, protocol),
      // The pool listens for all its connections.
      signal: undefined,
    });
  }

  /**
   * Connects and signs on.
   * @throws what `SMTP.connect()`, `starttls()` and `login()` throw; QUIT is to be said then
   */
  async open(): Promise<void> {
    const session = this.#session;
    await session.open(() => this.#target());
    await session.alone((conversation) => signOn(conversation, this.#settings));
    const { connection, introduction } = session.conversation;
    const { mailMax = NEVER, rcptMax = NEVER } = readLimits(introduction.features["limits"] ?? "");
    this.mailMax = Math.min(this.#settings.maxMessages, mailMax);
    this.#rcptMax = rcptMax;
    this.openedAt = performance.now();
    this.usedAt = this.openedAt;
    if (connection?.end !== undefined) throw connection.end.toError({});
    this.#open = true;
    connection?.onEnd(() => this.#ended());
  }

  /** Why the connection ended, if it did. */
  get end(): SessionEnd | undefined {
    return this.#session.conversation.connection?.end;
  }

  /** True if the connection ends with what came last. */
  get ends(): boolean {
    return this.#session.conversation.connection?.fault !== undefined;
  }

  /** True while the first message here has yet to begin with its content. */
  get isUntried(): boolean {
    return this.#first !== undefined && !this.#first.contentBegun;
  }

  /** What the connection has shown of the server and commands in groups; "suspect": it was lost with the first group. */
  get grouping(): "untested" | "proven" | "suspect" {
    return this.#session.conversation.connection?.grouping ?? "untested";
  }

  /** Sends a message; nothing else is on this connection. */
  send(job: Job): void {
    this.inFlight++;
    this.#session.conversation.connection?.holdProcess(true);
    const isFirst = this.started === 0;
    if (isFirst) this.#first = job;
    this.#session.deliver(new Turn(this, job, isFirst));
  }

  /** Nothing is to be sent for now: an idle connection keeps no process alive. */
  rest(): void {
    this.#session.conversation.connection?.holdProcess(false);
  }

  /** Lets the next message begin as soon as it may go behind those that are here. */
  offer(): void {
    if (this.#turnWaits || this.retired || this.#alone !== undefined) return;
    if (this.#session.conversation.connection?.callingOut === true) return;
    this.#turnWaits = true;
    this.#session.deliver(new Turn(this, undefined, false));
  }

  /**
   * NOOP.
   * @throws what `noop()` throws
   */
  async noop(): Promise<void> {
    await this.#session.alone((conversation) => conversation.live().request(Command.simple("NOOP")));
  }

  /**
   * Says QUIT, if that is still possible, and closes. Resolves when the server has answered, with a promise for the end of
   * the connection; never rejects.
   */
  async quit(): Promise<{ gone: Promise<void> }> {
    this.retired = true;
    this.#open = false;
    const { conversation } = this.#session;
    conversation.connection?.holdProcess(true);
    await this.#session.alone(() => sayQuit(conversation.live())).catch(() => {});
    return { gone: conversation.connection?.close() ?? Promise.resolve() };
  }

  /** Drops the connection, or gives up opening it. */
  drop(end: SessionEnd = disconnected("the pool dropped the connection")): void {
    const { conversation } = this.#session;
    conversation.connection?.drop(end);
    conversation.close();
  }

  async #target(): Promise<Parameters<Session["open"]>[0] extends () => Promise<infer Target> ? Target : never> {
    const { endpoint, secure, tls, transport, smtp } = this.#settings;
    const sourceAddress = "path" in endpoint ? undefined : smtp.source_address;
    return {
      endpoint,
      sourceAddress,
      tls: secure && tls !== undefined ? tlsUpgrade(tls) : undefined,
      transport: transport ?? (await defaultTransport({ endpoint, options: { sourceAddress } })),
    };
  }

  /** The message that a turn sends, which it gets now if it has none. */
  plan(turn: Turn, server: Server): Message {
    if (turn.job === undefined) this.#bind(turn);
    const { job } = turn;
    const request = job?.request;
    if (job === undefined || request === undefined) throw NOTHING_TO_DO;
    this.#begin(job);
    const message = planRequest(request, server, this.#policy);
    return job.within === undefined ? message : { ...message, within: job.within };
  }

  /** A turn's message was delivered. */
  delivered({ job }: Turn, delivery: Delivery): void {
    if (job === undefined) return;
    this.#settled(job);
    this.#owner.delivered(this, job, delivery);
  }

  /** A turn's message was not delivered, or it had none. */
  failed({ job, first }: Turn, error: unknown): void {
    if (job === undefined) {
      this.#turnWaits = false;
      return;
    }
    this.#settled(job);
    this.#owner.failed(this, job, error, first);
  }

  #begin(job: Job): void {
    job.begun = true;
    if (job.deadline !== NEVER) job.interrupt = () => this.#outOfTime(job);
    // What does not go into one transaction goes in several, on this connection.
    this.started += Math.max(1, Math.ceil((job.request?.recipients.length ?? 1) / this.#rcptMax));
    if (this.started >= this.mailMax) this.retired = true;
    this.#owner.began();
    if (job.abortable && this.#settings.smtp.pipelining === "eager") this.#alone = job;
    this.offer();
  }

  #outOfTime(job: Job): void {
    job.late = true;
    this.drop(disconnected("another delivery on this connection took too long"));
  }

  #bind(turn: Turn): void {
    this.#turnWaits = false;
    turn.job = this.retired ? undefined : this.#owner.pull(this);
    if (turn.job !== undefined) this.inFlight++;
  }

  #settled(job: Job): void {
    job.interrupt = undefined;
    if (this.#alone === job) this.#alone = undefined;
    if (this.#first === job) this.#first = undefined;
    this.inFlight--;
    this.usedAt = performance.now();
  }

  #ended(): void {
    if (!this.#open) return;
    this.#open = false;
    this.retired = true;
    this.#owner.ended(this);
  }
}

/** QUIT. A write that does not leave, because the server reads nothing, is bounded by its phase, too. */
async function sayQuit(connection: Connection): Promise<void> {
  const bound = connection.bound("quit", connection.settings.timeouts().quit);
  try {
    await connection.request(Command.simple("QUIT"));
  } finally {
    bound.release();
  }
}
