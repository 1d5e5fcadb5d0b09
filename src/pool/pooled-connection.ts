/**
 * One connection of a pool, from opening to close. Messages are assigned to it when they can begin, and not before: a
 * connection that hangs delays no message that another one could send.
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
import { establish } from "./establish.ts";
import type { Carrier, Job } from "./job.ts";
import type { PoolSettings } from "./options.ts";
import { NEVER } from "./timer.ts";

/** The parts of the pool that its connections need. */
export type ConnectionOwner = {
  /** Returns the next message that may follow those already on this connection. */
  next(connection: PooledConnection): Job | undefined;
  /** Called when a message begins. */
  began(): void;
  /** Called when a message assigned to this connection was delivered. */
  delivered(connection: PooledConnection, job: Job, delivery: Delivery): void;
  /** Called if a message assigned here was not delivered, or its outcome is unknown; `first`: the first one here. */
  failed(connection: PooledConnection, job: Job, error: unknown, first: boolean): void;
  /** Called when an open connection has ended. */
  ended(connection: PooledConnection): void;
};

/** A connection of a pool. */
export class PooledConnection implements Carrier {
  /** The number of transactions that began here. */
  started = 0;
  /** The number of unsettled messages assigned to this connection. */
  inFlight = 0;
  /** The times at which opening began and succeeded, and of the last use, as of `performance.now()`. */
  readonly begunAt: number = performance.now();
  openedAt = 0;
  usedAt = 0;
  /** True once the connection accepts no more messages. */
  retired = false;
  /** The maximum number of transactions here: the minimum of the option and the server's MAILMAX (RFC 9422). */
  mailMax: number = Number.POSITIVE_INFINITY;
  readonly #owner: ConnectionOwner;
  readonly #settings: PoolSettings;
  readonly #client: Client;
  #rcptMax = NEVER;
  /** A message that none may follow: in eager mode, its abort would lose the messages after it. */
  #blocking: Job | undefined;
  /** The first message here, until it is settled. */
  #first: Job | undefined;
  #open = false;

  constructor(owner: ConnectionOwner, settings: PoolSettings) {
    const { smtp, timeouts, protocol, chunking } = settings;
    const name = smtp.local_hostname;
    // The pool measures the total itself: a delivery begins before there is a connection.
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
      this,
    );
  }

  /**
   * Connects and establishes the session.
   * @throws the errors of `SMTP.connect()`, `starttls()` and `login()`; call `quit()` then
   */
  async open(): Promise<void> {
    const client = this.#client;
    await client.open(() => this.#target());
    await client.exclusively((session) => establish(session, this.#settings));
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

  /** The reason of the connection's end; `undefined` while it is open. */
  get end(): SessionEnd | undefined {
    return this.#client.session.connection?.end;
  }

  /** True if the connection ends with the last received reply. */
  get ends(): boolean {
    return this.#client.session.connection?.fault !== undefined;
  }

  /** True while the first message here has not yet sent any content. */
  get isUntried(): boolean {
    return this.#first !== undefined && !this.#first.contentBegun;
  }

  /** Whether the server handled a group of commands; "suspect": the connection was lost with the first group. */
  get pipeliningTrust(): "untested" | "proven" | "suspect" {
    return this.#client.session.connection?.pipeliningTrust ?? "untested";
  }

  /** Sends a message on this connection, which is idle. */
  send(job: Job): void {
    this.inFlight++;
    this.#client.session.connection?.holdProcess(true);
    if (this.started === 0) this.#first = job;
    job.carrier = this;
    this.#client.deliver(job);
  }

  /** Lets the process exit: an idle connection does not keep it alive. */
  releaseProcess(): void {
    this.#client.session.connection?.holdProcess(false);
  }

  /** Returns the next message that may follow those already here, attached to this connection's session. */
  next(): Job | undefined {
    if (!this.#open || this.retired || this.inFlight === 0 || this.#blocking !== undefined) return undefined;
    const job = this.#client.takesMessages ? this.#owner.next(this) : undefined;
    if (job === undefined) return undefined;
    this.inFlight++;
    job.carrier = this;
    this.#client.attach(job);
    return job;
  }

  /** Asks the pool for a message that may follow those already here. */
  advance(): void {
    this.#client.advance();
  }

  /**
   * Sends NOOP.
   * @throws the errors of `noop()`
   */
  async noop(): Promise<void> {
    await this.#client.exclusively((session) => session.requireConnection().request(Command.simple("NOOP")));
  }

  /**
   * Sends QUIT, if that is still possible, and closes. Resolves after the reply, with a promise for the end of the
   * connection; never rejects.
   */
  async quit(): Promise<{ gone: Promise<void> }> {
    this.retired = true;
    this.#open = false;
    const { session } = this.#client;
    session.connection?.holdProcess(true);
    await this.#client.exclusively(() => sendQuit(session.requireConnection())).catch(() => {});
    return { gone: session.connection?.close() ?? Promise.resolve() };
  }

  /** Drops the connection, or stops opening it. */
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

  /** Records that a message begins. */
  began(job: Job): void {
    job.begun = true;
    if (job.deadline !== NEVER) job.interrupt = () => this.#interrupt(job);
    // More recipients than RCPTMAX require several transactions on this connection.
    this.started += Math.max(1, Math.ceil(job.recipients / this.#rcptMax));
    if (this.started >= this.mailMax) this.retired = true;
    this.#owner.began();
    if (job.abortable && this.#settings.smtp.pipelining === "eager") this.#blocking = job;
  }

  /** Passes the delivery on to the pool. */
  delivered(job: Job, outcome: Delivery): void {
    this.#settled(job);
    this.#owner.delivered(this, job, outcome);
  }

  /** Passes the failure on to the pool. */
  failed(job: Job, error: unknown): void {
    const isFirst = this.#first === job;
    this.#settled(job);
    this.#owner.failed(this, job, error, isFirst);
  }

  #interrupt(job: Job): void {
    job.late = true;
    this.drop(disconnected("another delivery on this connection took too long"));
  }

  #settled(job: Job): void {
    job.interrupt = undefined;
    if (this.#blocking === job) this.#blocking = undefined;
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

/** Sends QUIT. The timeout also covers a write that blocks because the server does not read. */
async function sendQuit(connection: Connection): Promise<void> {
  const bound = connection.setDeadline("quit", connection.settings.timeouts().quit);
  try {
    await connection.request(Command.simple("QUIT"));
  } finally {
    bound.release();
  }
}
