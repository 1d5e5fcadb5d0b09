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
  type SMTPHeloError,
  SMTPServerDisconnected,
} from "../errors.ts";
import { onAbort } from "./abort.ts";
import type { Chunking } from "./chunking.ts";
import { type Connection, makeConnection } from "./connection.ts";
import type { Timeouts } from "./deadline.ts";
import type { Events } from "./events.ts";
import { answersAnother, helloRefused, outOfStep, type RefusedHello, tellingRefusal } from "./hello-refused.ts";
import { openStream, type Target } from "./open.ts";
import { aborted, causedBy, closed, overBecause, textOf } from "./session-end.ts";
import type { TransactionSettings } from "./transaction.ts";

/** Whether commands are sent before the last one was answered, and how many. */
export type Pipelining = boolean | "eager";

/** How a session behaves. */
export type SessionSettings = {
  readonly protocol: "smtp" | "lmtp";
  readonly limits: SessionLimits;
  /** "eager": a message that is in memory goes out in one flight, if the server offers CHUNKING, too. */
  readonly pipelining: Pipelining;
  /** What is known of BDAT. */
  readonly chunking: Chunking;
  readonly timeouts: () => Timeouts;
  /** The name for EHLO, given our address on the connection. */
  readonly localName: (peer: PeerInfo) => string;
  readonly events: Events;
  readonly signal: AbortSignal | undefined;
};

/** What the server said of itself in this session. */
export type Introduction = Server & {
  /** The text of the answer to HELO, whatever its code. */
  readonly helo?: string;
  /** EHLO's or LHLO's refusal, if the last one was refused. */
  readonly refusedHello?: RefusedHello | undefined;
};

/** A conversation with one server at a time. */
export type Conversation = {
  readonly settings: SessionSettings;
  /** What the server said of itself. */
  readonly introduction: Introduction;
  /** What kept `open()` or `connect()` from a session, and whether a call has thrown it; if not, the next one does. */
  connectFailure: { readonly error: unknown; thrown: boolean } | undefined;
  /** True once QUIT was sent in this session by `quit()`. */
  quitSent: boolean;
  /** True once EHLO or HELO was accepted: nothing else may come before (RFC 5321 4.1.1.1). */
  readonly introduced: boolean;
  /** How often `close()` was called. */
  readonly closings: number;
  /** The host that was asked for; "" for a Unix socket. */
  readonly host: string;
  /** The connection, living or dead. */
  readonly connection: Connection | undefined;
  /** True while a connection is being made, until the server has greeted. */
  readonly connecting: boolean;
  /** How messages go now: whether they may be pipelined (RFC 2920), and in which protocol. */
  readonly way: TransactionSettings;

  /**
   * The living connection.
   * @throws what kept `open()` from one, once; {SMTPServerDisconnected} saying why there is none
   */
  live(delivery?: DeliveryOutcome): Connection;
  /** Forgets what the server said: after STARTTLS, QUIT, and for a new connection. */
  forget(): void;
  /** Connects, forgets all of an earlier session, and gives the greeting, whatever it is. */
  connect(resolveTarget: () => Promise<Target>): Promise<Reply>;
  /** Says EHLO, LHLO or HELO and remembers the answer (RFC 5321 4.1.1.1). */
  hello(verb: "EHLO" | "HELO", name?: string, delivery?: DeliveryOutcome): Promise<Reply>;
  /**
   * EHLO, then HELO, unless one of them was accepted in this session.
   * @throws {SMTPHeloError} if both are refused
   */
  helloIfNeeded(delivery?: DeliveryOutcome): Promise<void>;
  /** Drops the connection now, or gives up connecting. */
  close(): void;
};

/** A conversation that is yet to be begun. */
export function makeConversation(settings: SessionSettings): Conversation {
  const { events, localName, pipelining, protocol, signal, timeouts } = settings;
  let introduction = unknownServer();
  let way: TransactionSettings = { protocol, pipelining: false };
  let introduced = false;
  let closings = 0;
  let host = "";
  let said = "";
  let connection: Connection | undefined;
  let opening: AbortController | undefined;

  const conversation: Conversation = {
    settings,
    connectFailure: undefined,
    quitSent: false,

    get introduction() {
      return introduction;
    },

    get introduced() {
      return introduced;
    },

    get closings() {
      return closings;
    },

    get host() {
      return host;
    },

    get connection() {
      return connection;
    },

    get connecting() {
      return opening !== undefined;
    },

    get way() {
      return way;
    },

    live,
    forget,

    async connect(resolveTarget) {
      connection?.drop(closed("connect() was called again"));
      connection = undefined;
      conversation.connectFailure = undefined;
      conversation.quitSent = false;
      forget();
      const attempt = new AbortController();
      const unlink = onAbort(signal, (reason) => attempt.abort(reason));
      opening = attempt;
      try {
        const target = await resolveTarget();
        const { observer } = events;
        const { endpoint } = target;
        host = "host" in endpoint ? endpoint.host : "";
        observer.connecting(endpoint);
        const opened = makeConnection(await openStream(target, timeouts(), attempt.signal), settings);
        connection = opened;
        observer.connected(opened);
        opened.onEnd(onAbort(signal, (reason) => opened.drop(aborted(reason))));
        return await greetingOf(opened);
      } catch (error) {
        conversation.connectFailure = { error, thrown: true };
        events.observer.connectionFailed(error);
        throw error;
      } finally {
        opening = undefined;
        unlink();
      }
    },

    hello,

    async helloIfNeeded(delivery) {
      live(delivery);
      if (introduced) return;
      const reply = await hello("EHLO", undefined, delivery);
      if (isPositive(reply.code)) return;
      const refusal = helloRefused(reply, said, delivery);
      // LMTP has no HELO to fall back to (RFC 2033 4.1), and nobody listens after a 421.
      if (protocol === "lmtp" || reply.code === 421) throw refusal;
      await heloInstead(refusal, delivery);
    },

    close() {
      closings++;
      const reason = new SMTPServerDisconnected("the connection was closed by close()");
      opening?.abort(reason);
      connection?.drop(closed(reason.message));
    },
  };

  function live(delivery?: DeliveryOutcome): Connection {
    if (connection && !connection.end) return connection;
    throw whyNone(delivery);
  }

  /** Why there is no living connection, as an exception of the call that needs one. */
  function whyNone(delivery: DeliveryOutcome | undefined): unknown {
    const failure = conversation.connectFailure;
    if (failure?.thrown === true) {
      const { error } = failure;
      const { temporary } = error instanceof SMTPException ? error : causedBy(error);
      return new SMTPServerDisconnected(`there is no session: ${textOf(error)}`, { delivery, cause: error, temporary });
    }
    if (failure) {
      failure.thrown = true;
      if (failure.error instanceof SMTPException) failure.error.delivery ??= delivery;
      return failure.error;
    }
    if (!connection?.end) return new SMTPServerDisconnected("please run connect() first", { delivery });
    if (!conversation.quitSent) return overBecause(connection.end, delivery);
    const cause = connection.end.wanted ? undefined : connection.end.toError({});
    return new SMTPServerDisconnected("the session was ended by quit()", { delivery, cause });
  }

  function forget(): void {
    introduced = false;
    learn(unknownServer());
  }

  function learn(known: Introduction): void {
    introduction = known;
    way = { protocol, pipelining: pipelining !== false && offers(known.features, "PIPELINING") };
  }

  async function hello(verb: "EHLO" | "HELO", name?: string, delivery?: DeliveryOutcome): Promise<Reply> {
    const greeted = live(delivery);
    const { peer } = greeted;
    const real = verb === "EHLO" && protocol === "lmtp" ? "LHLO" : verb;
    const command = Command.hello(real, name ?? localName(peer));
    said = command.shown;
    const reply = await greeted.request(command, delivery);
    const another = answersAnother(reply);
    if (another !== undefined) throw outOfStep(greeted, reply, another, said, delivery);
    const esmtp = isPositive(reply.code);
    introduced ||= esmtp;
    if (verb === "HELO") learn({ ...introduction, helo: reply.message });
    else {
      const features = esmtp ? parseFeatures(reply.lines) : noFeatures();
      const refusedHello = esmtp ? undefined : { line: said, reply };
      learn({ ...introduction, esmtp, features, tls: peer.tls, ehlo: reply.message, refusedHello });
    }
    return reply;
  }

  /** HELO after a refused EHLO (RFC 5321 3.2). */
  async function heloInstead(refusal: SMTPHeloError, delivery: DeliveryOutcome | undefined): Promise<void> {
    let next: unknown;
    try {
      const reply = await hello("HELO", undefined, delivery);
      if (isPositive(reply.code)) return;
      next = helloRefused(reply, said, delivery);
    } catch (error) {
      next = error;
    }
    throw tellingRefusal(refusal, next);
  }

  return conversation;
}

function unknownServer(): Introduction {
  return { esmtp: false, features: noFeatures() };
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
