/**
 * One of a pool's connections, from its opening to its end. Messages are bound to it when they can begin, and not before:
 * a connection that hangs holds no message back that another one could send.
 */
import { sendingPolicy } from "../client/chunking.ts";
import { Client } from "../client/client.ts";
import type { Connection } from "../client/connection.ts";
import { Events } from "../client/events.ts";
import { tlsUpgrade } from "../client/implicit-tls.ts";
import type { Target } from "../client/open.ts";
import type { Delivery } from "../client/outcome.ts";
import { disconnected, type SessionEnd } from "../client/session-end.ts";
import { Command } from "../core/command.ts";
import { readLimits } from "../core/extensions/limits.ts";
import { addressLiteral, resolveLimits } from "../facade/options.ts";
import { defaultTransport } from "../runtime.ts";
import { NEVER } from "./alarm.ts";
import type { Carrier, Job } from "./job.ts";
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

/** A connection of the pool's. */
export class Lane implements Carrier {
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
  readonly #client: Client;
  #rcptMax = NEVER;
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
    this.#client = new Client(
      {
        protocol,
        limits: resolveLimits(smtp.limits),
        pipelining: smtp.pipelining ?? true,
        chunking,
        policy: sendingPolicy(smtp, chunking),
        timeouts: () => phases,
        localName: (peer) => name ?? addressLiteral(peer),
        events: new Events(smtp.logger, protocol),
        // The pool listens for all its connections.
        signal: undefined,
      },
      { next: () => this.#next() },
    );
  }

  /**
   * Connects and signs on.
   * @throws what `SMTP.connect()`, `starttls()` and `login()` throw; QUIT is to be said then
   */
  async open(): Promise<void> {
    const client = this.#client;
    await client.open(() => this.#target());
    await client.exclusively((session) => signOn(session, this.#settings));
    const { connection, serverInfo } = client.session;
    const { mailMax = NEVER, rcptMax = NEVER } = readLimits(serverInfo.features["limits"] ?? "");
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
    return this.#client.session.connection?.end;
  }

  /** True if the connection ends with what came last. */
  get ends(): boolean {
    return this.#client.session.connection?.fault !== undefined;
  }

  /** True while the first message here has yet to begin with its content. */
  get isUntried(): boolean {
    return this.#first !== undefined && !this.#first.contentBegun;
  }

  /** What the connection has shown of the server and commands in groups; "suspect": it was lost with the first group. */
  get pipeliningTrust(): "untested" | "proven" | "suspect" {
    return this.#client.session.connection?.pipeliningTrust ?? "untested";
  }

  /** Sends a message; nothing else is on this connection. */
  send(job: Job): void {
    this.inFlight++;
    this.#client.session.connection?.holdProcess(true);
    if (this.started === 0) this.#first = job;
    job.carrier = this;
    this.#client.deliver(job);
  }

  /** Nothing is to be sent for now: an idle connection keeps no process alive. */
  rest(): void {
    this.#client.session.connection?.holdProcess(false);
  }

  /** Lets the next message begin as soon as it may go behind those that are here. */
  offer(): void {
    this.#client.advance();
  }

  /**
   * NOOP.
   * @throws what `noop()` throws
   */
  async noop(): Promise<void> {
    await this.#client.exclusively((session) => session.requireConnection().request(Command.simple("NOOP")));
  }

  /**
   * Says QUIT, if that is still possible, and closes. Resolves when the server has answered, with a promise for the end of
   * the connection; never rejects.
   */
  async quit(): Promise<{ gone: Promise<void> }> {
    this.retired = true;
    this.#open = false;
    const { session } = this.#client;
    session.connection?.holdProcess(true);
    await this.#client.exclusively(() => sayQuit(session.requireConnection())).catch(() => {});
    return { gone: session.connection?.close() ?? Promise.resolve() };
  }

  /** Drops the connection, or gives up opening it. */
  drop(end: SessionEnd = disconnected("the pool dropped the connection")): void {
    const { session } = this.#client;
    session.connection?.drop(end);
    session.close();
  }

  async #target(): Promise<Target> {
    const { endpoint, secure, tls, transport, smtp } = this.#settings;
    const sourceAddress = "path" in endpoint ? undefined : smtp.source_address;
    return {
      endpoint,
      sourceAddress,
      tls: secure && tls !== undefined ? tlsUpgrade(tls) : undefined,
      transport: transport ?? (await defaultTransport({ endpoint, options: { sourceAddress } })),
    };
  }

  /** A message begins. */
  began(job: Job): void {
    job.begun = true;
    if (job.deadline !== NEVER) job.interrupt = () => this.#outOfTime(job);
    // What does not go into one transaction goes in several, on this connection.
    this.started += Math.max(1, Math.ceil(job.recipients / this.#rcptMax));
    if (this.started >= this.mailMax) this.retired = true;
    this.#owner.began();
    if (job.abortable && this.#settings.smtp.pipelining === "eager") this.#alone = job;
  }

  /** A message was delivered. */
  delivered(job: Job, outcome: Delivery): void {
    this.#settled(job);
    this.#owner.delivered(this, job, outcome);
  }

  /** A message was not delivered. */
  failed(job: Job, error: unknown): void {
    const isFirst = this.#first === job;
    this.#settled(job);
    this.#owner.failed(this, job, error, isFirst);
  }

  /** The next message that may begin behind those that are here. */
  #next(): Job | undefined {
    if (!this.#open || this.retired || this.inFlight === 0 || this.#alone !== undefined) return undefined;
    const job = this.#owner.pull(this);
    if (job === undefined) return undefined;
    this.inFlight++;
    job.carrier = this;
    return job;
  }

  #outOfTime(job: Job): void {
    job.late = true;
    this.drop(disconnected("another delivery on this connection took too long"));
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
  const bound = connection.setDeadline("quit", connection.settings.timeouts().quit);
  try {
    await connection.request(Command.simple("QUIT"));
  } finally {
    bound.release();
  }
}
