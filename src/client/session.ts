/**
 * A session with one server at a time, without a queue: connecting, EHLO, and the server's capabilities. `client.ts`
 * ensures that only one call at a time uses it.
 */
import type { PeerInfo } from "../byte-stream.ts";
import { Command } from "../core/command.ts";
import { noFeatures, offers, parseFeatures } from "../core/features.ts";
import type { SessionLimits } from "../core/limits.ts";
import type { SendingPolicy, Server } from "../core/plan.ts";
import { isPositive, type Reply } from "../core/reply.ts";
import {
  type DeliveryOutcome,
  SMTPConnectError,
  SMTPException,
  type SMTPHeloError,
  SMTPServerDisconnected,
} from "../errors.ts";
import { onAbort } from "./abort.ts";
import type { Chunking } from "./chunking.ts";
import { Connection } from "./connection.ts";
import type { Timeouts } from "./deadline.ts";
import type { Events } from "./events.ts";
import { answersAnother, helloRefused, outOfStep, type RefusedHello, tellingRefusal } from "./hello-refused.ts";
import { openStream, type Target } from "./open.ts";
import { aborted, causedBy, closed, overBecause, textOf } from "./session-end.ts";
import type { TransactionSettings } from "./transaction.ts";

/** Whether commands are sent before the reply to the last one, and how many. */
export type Pipelining = boolean | "eager";

/** Settings of a session. */
export type SessionSettings = {
  readonly protocol: "smtp" | "lmtp";
  readonly limits: SessionLimits;
  /** "eager": a message in memory is sent in one flight, if the server also offers CHUNKING. */
  readonly pipelining: Pipelining;
  /** Whether BDAT is used. */
  readonly chunking: Chunking;
  /** The options for planning messages. */
  readonly policy: SendingPolicy;
  readonly timeouts: () => Timeouts;
  /** Returns the name for EHLO; `peer` has the client's address. */
  readonly localName: (peer: PeerInfo) => string;
  readonly events: Events;
  readonly signal: AbortSignal | undefined;
};

/** The server's replies about itself in this session. */
export type ServerInfo = Server & {
  /** The text of the reply to HELO, whatever its code. */
  readonly helo?: string;
  /** The refusal of the last EHLO or LHLO, if it was refused. */
  readonly refusedHello?: RefusedHello | undefined;
};

/** A session that may be connected, lost, and connected again. */
export class Session {
  /** The settings of the session. */
  readonly settings: SessionSettings;
  /** The error of a failed `connect()`, and whether a call has thrown it; if not, the next one does. */
  connectError: { readonly error: unknown; thrown: boolean } | undefined;
  /** True once `quit()` has sent QUIT in this session. */
  quitSent = false;
  #serverInfo: ServerInfo = unknownServer();
  #transactionSettings: TransactionSettings;
  #greeted = false;
  /** A greeting other than 220. */
  #refusedGreeting: Reply | undefined;
  #closeCount = 0;
  #host = "";
  /** The last EHLO, LHLO or HELO. */
  #hello = "";
  #connection: Connection | undefined;
  #opening: AbortController | undefined;

  constructor(settings: SessionSettings) {
    this.settings = settings;
    this.#transactionSettings = { protocol: settings.protocol, pipelining: false };
  }

  /** The server's replies about itself. */
  get serverInfo(): ServerInfo {
    return this.#serverInfo;
  }

  /** The settings of transactions: whether they may be pipelined (RFC 2920), and the protocol. */
  get transactionSettings(): TransactionSettings {
    return this.#transactionSettings;
  }

  /** True once EHLO or HELO was accepted: other commands must follow it (RFC 5321 4.1.1.1). */
  get greeted(): boolean {
    return this.#greeted;
  }

  /** The number of calls of `close()`. */
  get closeCount(): number {
    return this.#closeCount;
  }

  /** The requested host; "" for a Unix socket. */
  get host(): string {
    return this.#host;
  }

  /** The connection, live or ended. */
  get connection(): Connection | undefined {
    return this.#connection;
  }

  /** True while a connection is being made, until the greeting arrives. */
  get connecting(): boolean {
    return this.#opening !== undefined;
  }

  /**
   * The live connection.
   * @throws the error of a failed `connect()`, once; {SMTPServerDisconnected} with the reason if there is none
   */
  requireConnection(delivery?: DeliveryOutcome): Connection {
    const connection = this.#connection;
    if (connection !== undefined && connection.end === undefined) return connection;
    throw this.#whyNone(delivery);
  }

  /** Connects, resets an earlier session, and returns the greeting, whatever its code. */
  async connect(resolveTarget: () => Promise<Target>): Promise<Reply> {
    const { events, signal } = this.settings;
    this.#connection?.drop(closed("connect() was called again"));
    this.#connection = undefined;
    this.connectError = undefined;
    this.quitSent = false;
    this.#refusedGreeting = undefined;
    this.resetServerInfo();
    const attempt = new AbortController();
    const unlink = onAbort(signal, (reason) => attempt.abort(reason));
    this.#opening = attempt;
    try {
      return await this.#open(await resolveTarget(), attempt.signal);
    } catch (error) {
      this.connectError = { error, thrown: true };
      events.observer.connectionFailed(error);
      throw error;
    } finally {
      this.#opening = undefined;
      unlink();
    }
  }

  async #open(target: Target, attempt: AbortSignal): Promise<Reply> {
    const { events, signal, timeouts } = this.settings;
    const { endpoint } = target;
    this.#host = "host" in endpoint ? endpoint.host : "";
    events.observer.connecting(endpoint);
    const opened = new Connection(await openStream(target, timeouts(), attempt), this.settings);
    this.#connection = opened;
    events.observer.connected(opened);
    opened.onEnd(onAbort(signal, (reason) => opened.drop(aborted(reason))));
    const greeting = await greetingOf(opened);
    if (greeting.code !== 220) this.#refusedGreeting = greeting;
    return greeting;
  }

  /** Sends EHLO, LHLO or HELO and stores the reply (RFC 5321 4.1.1.1). */
  async hello(verb: "EHLO" | "HELO", name?: string, delivery?: DeliveryOutcome): Promise<Reply> {
    const connection = this.requireConnection(delivery);
    const { peer } = connection;
    const { localName, protocol } = this.settings;
    const real = verb === "EHLO" && protocol === "lmtp" ? "LHLO" : verb;
    const command = Command.hello(real, name ?? localName(peer));
    const line = command.shown;
    this.#hello = line;
    const reply = await connection.request(command, delivery);
    const another = answersAnother(reply);
    if (another !== undefined) throw outOfStep(connection, reply, another, line, delivery);
    const esmtp = isPositive(reply.code);
    this.#greeted ||= esmtp;
    if (verb === "HELO") this.#learn({ ...this.#serverInfo, helo: reply.message });
    else {
      const features = esmtp ? parseFeatures(reply.lines) : noFeatures();
      const refusedHello = esmtp ? undefined : { line, reply };
      this.#learn({ ...this.#serverInfo, esmtp, features, tls: peer.tls, ehlo: reply.message, refusedHello });
    }
    return reply;
  }

  /**
   * Sends EHLO, then HELO, unless one of them was accepted in this session.
   * @throws {SMTPHeloError} if both are refused
   * @throws {SMTPConnectError} if the greeting was not 220: the server expects QUIT (RFC 5321 3.1)
   */
  async helloIfNeeded(delivery?: DeliveryOutcome): Promise<void> {
    this.requireConnection(delivery);
    if (this.#greeted) return;
    if (this.#refusedGreeting !== undefined) throw greetingRefused(this.#refusedGreeting, delivery);
    const reply = await this.hello("EHLO", undefined, delivery);
    if (isPositive(reply.code)) return;
    const refusal = helloRefused(reply, this.#hello, delivery);
    // LMTP has no HELO to fall back to (RFC 2033 4.1), and a 421 closes the connection.
    if (this.settings.protocol === "lmtp" || reply.code === 421) throw refusal;
    await this.#heloInstead(refusal, delivery);
  }

  /** Resets the server's data: after STARTTLS, QUIT, and for a new connection. */
  resetServerInfo(): void {
    this.#greeted = false;
    this.#learn(unknownServer());
  }

  /** Drops the connection now, or cancels a connection attempt. */
  close(): void {
    this.#closeCount++;
    const reason = new SMTPServerDisconnected("the connection was closed by close()");
    this.#opening?.abort(reason);
    this.#connection?.drop(closed(reason.message));
  }

  #learn(known: ServerInfo): void {
    const { pipelining, protocol } = this.settings;
    this.#serverInfo = known;
    this.#transactionSettings = { protocol, pipelining: pipelining !== false && offers(known.features, "PIPELINING") };
  }

  /** Sends HELO after a refused EHLO (RFC 5321 3.2). */
  async #heloInstead(refusal: SMTPHeloError, delivery: DeliveryOutcome | undefined): Promise<void> {
    let next: unknown;
    try {
      const reply = await this.hello("HELO", undefined, delivery);
      if (isPositive(reply.code)) return;
      next = helloRefused(reply, this.#hello, delivery);
    } catch (error) {
      next = error;
    }
    throw tellingRefusal(refusal, next);
  }

  /** The exception for a call that needs a live connection. */
  #whyNone(delivery: DeliveryOutcome | undefined): unknown {
    const failure = this.connectError;
    if (failure?.thrown === true) {
      const { error } = failure;
      const { temporary } = error instanceof SMTPException ? error : causedBy(error);
      return new SMTPServerDisconnected(`there is no session: ${textOf(error)}`, { delivery, cause: error, temporary });
    }
    if (failure !== undefined) {
      failure.thrown = true;
      if (failure.error instanceof SMTPException) failure.error.delivery ??= delivery;
      return failure.error;
    }
    const end = this.#connection?.end;
    if (end === undefined) return new SMTPServerDisconnected("please run connect() first", { delivery });
    if (!this.quitSent) return overBecause(end, delivery);
    const cause = end.wanted ? undefined : end.toError({});
    return new SMTPServerDisconnected("the session was ended by quit()", { delivery, cause });
  }
}

function unknownServer(): ServerInfo {
  return { esmtp: false, features: noFeatures() };
}

/** The exception for a greeting other than 220. */
export function greetingRefused(greeting: Reply, delivery?: DeliveryOutcome): SMTPConnectError {
  return new SMTPConnectError(greeting.code, greeting.message, { reply: greeting, delivery });
}

async function greetingOf(connection: Connection): Promise<Reply> {
  try {
    return await connection.greeting;
  } catch (error) {
    const { fault } = connection;
    if (fault?.kind !== "grammar" && fault?.kind !== "too-long") throw error;
    throw new SMTPConnectError(-1, `the server did not greet as an SMTP server does: ${fault.detail}`, {
      cause: error,
    });
  }
}
