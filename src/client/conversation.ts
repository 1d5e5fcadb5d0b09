/**
 * The steps of a session, without a queue: connecting, introductions, and what is known of the server since then.
 * `session.ts` sees to it that one call at a time takes them.
 */
import type { PeerInfo } from "../byte-stream.ts";
import { Command } from "../core/command.ts";
import type { SessionLimits } from "../core/dialogue.ts";
import { noFeatures, offers, parseFeatures } from "../core/features.ts";
import type { Server } from "../core/plan.ts";
import { isPositive, type Reply } from "../core/reply.ts";
import {
  type DeliveryOutcome,
  SMTPConnectError,
  SMTPException,
  SMTPHeloError,
  SMTPServerDisconnected,
} from "../errors.ts";
import { onAbort } from "./abort.ts";
import { type Connection, makeConnection } from "./connection.ts";
import type { Timeouts } from "./deadline.ts";
import type { Events } from "./events.ts";
import { openStream, type Target } from "./open.ts";
import { aborted, closed } from "./session-end.ts";

/** Whether commands are sent before the last one was answered, and how many. */
export type Pipelining = boolean | "eager";

/** How a session behaves. */
export type SessionSettings = {
  readonly protocol: "smtp" | "lmtp";
  readonly limits: SessionLimits;
  /** "eager": a message that is in memory goes out in one flight, if the server offers CHUNKING, too. */
  readonly pipelining: Pipelining;
  readonly timeouts: () => Timeouts;
  /** The name for EHLO, given our address on the connection. */
  readonly localName: (peer: PeerInfo) => string;
  readonly events: Events;
  readonly signal: AbortSignal | undefined;
};

/** What the server said of itself in this session. */
export type Introduction = Server & {
  /** The text of the answer to EHLO or LHLO, whatever its code. */
  readonly ehlo: string | undefined;
  /** The text of the answer to HELO, whatever its code. */
  readonly helo: string | undefined;
};

/** A conversation with one server at a time. */
export class Conversation {
  readonly settings: SessionSettings;
  /** What the server said of itself. */
  introduction: Introduction = unknownServer();
  /** What kept `open()` from a session; the next call throws it. */
  openFailure: { readonly error: unknown } | undefined;
  /** True once EHLO or HELO was accepted: nothing else may come before (RFC 5321 4.1.1.1). */
  introduced = false;
  /** How often `close()` was called. */
  closings = 0;
  /** The host that was asked for; "" for a Unix socket. */
  host = "";
  #connection: Connection | undefined;
  #opening: AbortController | undefined;

  constructor(settings: SessionSettings) {
    this.settings = settings;
  }

  /** The connection, living or dead. */
  get connection(): Connection | undefined {
    return this.#connection;
  }

  /** True once EHLO or HELO was answered, whatever the answer. */
  get answered(): boolean {
    return this.introduction.ehlo !== undefined || this.introduction.helo !== undefined;
  }

  /** Whether messages may be pipelined now (RFC 2920). */
  get pipelines(): boolean {
    return this.settings.pipelining !== false && offers(this.introduction.features, "PIPELINING");
  }

  /**
   * The living connection.
   * @throws {SMTPServerDisconnected} if there is none, or what kept `open()` from one
   */
  live(delivery?: DeliveryOutcome): Connection {
    const failure = this.openFailure;
    this.openFailure = undefined;
    if (failure?.error instanceof SMTPException) failure.error.delivery ??= delivery;
    if (failure !== undefined) throw failure.error;
    const connection = this.#connection;
    if (connection !== undefined && connection.end === undefined) return connection;
    const cause = connection?.end?.toError({});
    throw new SMTPServerDisconnected("please run connect() first", { delivery, cause });
  }

  /** Forgets what the server said: after STARTTLS, QUIT, and for a new connection. */
  forget(): void {
    this.introduced = false;
    this.introduction = unknownServer();
  }

  /** Connects, forgets all of an earlier session, and gives the greeting, whatever it is. */
  async connect(resolveTarget: () => Promise<Target>): Promise<Reply> {
    const { settings } = this;
    this.#connection?.drop(closed("connect() was called again"));
    this.#connection = undefined;
    this.openFailure = undefined;
    this.forget();
    const opening = new AbortController();
    const unlink = onAbort(settings.signal, (reason) => opening.abort(reason));
    this.#opening = opening;
    try {
      const [target, observer] = await Promise.all([resolveTarget(), settings.events.load()]);
      this.host = "host" in target.endpoint ? target.endpoint.host : "";
      observer.connecting(target.endpoint);
      const stream = await openStream(target, settings.timeouts(), opening.signal);
      const connection = makeConnection(stream, settings);
      this.#connection = connection;
      observer.connected(connection);
      connection.onEnd(onAbort(settings.signal, (reason) => connection.drop(aborted(reason))));
      return await greetingOf(connection);
    } catch (error) {
      settings.events.observer?.connectionFailed(error);
      throw error;
    } finally {
      this.#opening = undefined;
      unlink();
    }
  }

  /** Says EHLO, LHLO or HELO and remembers the answer (RFC 5321 4.1.1.1). */
  async hello(verb: "EHLO" | "HELO", name?: string, delivery?: DeliveryOutcome): Promise<Reply> {
    const connection = this.live(delivery);
    const { localName, protocol } = this.settings;
    const real = verb === "EHLO" && protocol === "lmtp" ? "LHLO" : verb;
    const reply = await connection.request(Command.hello(real, name ?? localName(connection.peer)), delivery);
    const esmtp = isPositive(reply.code);
    this.introduced ||= esmtp;
    if (verb === "HELO") this.introduction = { ...this.introduction, helo: reply.message };
    else {
      const features = esmtp ? parseFeatures(reply.lines) : noFeatures();
      this.introduction = { ...this.introduction, esmtp, features, tls: connection.peer.tls, ehlo: reply.message };
    }
    return reply;
  }

  /**
   * EHLO, then HELO, unless one of them was accepted in this session.
   * @throws {SMTPHeloError} if both are refused
   */
  async helloIfNeeded(delivery?: DeliveryOutcome): Promise<void> {
    this.live(delivery);
    if (this.introduced) return;
    let reply = await this.hello("EHLO", undefined, delivery);
    // LMTP has no HELO to fall back to (RFC 2033 4.1), and nobody listens after a 421.
    if (!isPositive(reply.code) && this.settings.protocol === "smtp" && reply.code !== 421) {
      reply = await this.hello("HELO", undefined, delivery);
    }
    if (!isPositive(reply.code)) throw new SMTPHeloError(reply.code, reply.message, { delivery, reply });
  }

  /** Drops the connection now, or gives up connecting. */
  close(): void {
    this.closings++;
    const reason = new SMTPServerDisconnected("the connection was closed by close()");
    this.#opening?.abort(reason);
    this.#connection?.drop(closed(reason.message));
  }
}

function unknownServer(): Introduction {
  return { esmtp: false, features: noFeatures(), ehlo: undefined, helo: undefined };
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
