/**
 * A session with a server: a connection, what the server said of itself, and a queue of calls, each of which runs
 * undisturbed. The facade gives it Python's names; a pool would own several.
 */
import type { ByteStream, PeerInfo, TlsInfo, TlsOptions } from "../byte-stream.ts";
import { Command } from "../core/command.ts";
import type { Limits } from "../core/dialogue.ts";
import { offers } from "../core/extensions/extension.ts";
import { noFeatures, parseFeatures } from "../core/features.ts";
import { type EightBitPolicy, eightBitRefused, isSevenBitOnly, type Server } from "../core/plan.ts";
import { isPositive, type Reply } from "../core/reply.ts";
import {
  type DeliveryOutcome,
  SMTPConnectError,
  SMTPDataError,
  SMTPHeloError,
  SMTPNotSupportedError,
  SMTPResponseException,
  SMTPServerDisconnected,
} from "../errors.ts";
import { type AuthExchange, authenticate, checkClearText } from "./authenticate.ts";
import { Connection } from "./connection.ts";
import { DataTransfer } from "./data-transfer.ts";
import type { Timeouts } from "./deadline.ts";
import type { Events } from "./events.ts";
import { describe, openStream, type Target } from "./open.ts";
import { aborted, disconnected } from "./session-end.ts";
import type { Content } from "./source.ts";
import { type Delivery, type Message, Transaction } from "./transaction.ts";
import { Turns } from "./turns.ts";

/** How a session behaves. */
export type SessionSettings = {
  readonly protocol: "smtp" | "lmtp";
  readonly limits: Limits;
  readonly pipelining: boolean;
  readonly allowInsecureAuth: boolean;
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

/** A session that may be connected, lost, and connected again. */
export class Session {
  readonly #settings: SessionSettings;
  readonly #turns = new Turns();
  #connection: Connection | undefined;
  #introduction: Introduction = unknownServer();
  #opening: AbortController | undefined;
  #openFailure: { readonly error: unknown } | undefined;
  #callingOut = false;

  constructor(settings: SessionSettings) {
    this.#settings = settings;
  }

  /** Whether there is a live session. */
  get connected(): boolean {
    return this.#connection !== undefined && this.#connection.end === undefined;
  }

  /** What the server said of itself. */
  get introduction(): Introduction {
    return this.#introduction;
  }

  /** Both ends of the connection, while there is one. */
  get peer(): PeerInfo | undefined {
    return this.#connection?.peer;
  }

  /** Connects, forgets all of an earlier session, and gives the greeting, whatever it is. */
  connect(resolveTarget: () => Promise<Target>): Promise<Reply> {
    return this.#alone(() => this.#connect(resolveTarget));
  }

  /** Connects and demands the greeting 220. What goes wrong is thrown here, and once more by the next call. */
  open(resolveTarget: () => Promise<Target>): Promise<Reply> {
    return this.#alone(async () => {
      try {
        const greeting = await this.#connect(resolveTarget);
        if (greeting.code === 220) return greeting;
        throw new SMTPConnectError(greeting.code, greeting.message, { reply: greeting });
      } catch (error) {
        await this.#connection?.close();
        this.#openFailure = { error };
        throw error;
      }
    });
  }

  /** Sends one command and gives the reply. `make` is called when the turn comes, and may refuse. */
  command(make: (server: Server) => Command): Promise<Reply> {
    return this.#alone(() => this.#live().request(make(this.#introduction)));
  }

  /** Says EHLO, LHLO or HELO and remembers the answer (RFC 5321 4.1.1.1). */
  hello(verb: "EHLO" | "HELO", name?: string): Promise<Reply> {
    return this.#alone(() => this.#hello(verb, name));
  }

  /** EHLO, then HELO, unless one of them was said in this session. */
  helloIfNeeded(): Promise<void> {
    return this.#alone(() => this.#helloIfNeeded());
  }

  /**
   * Delivers one message. `plan` is called when the turn has come, the message is prepared and the server is known;
   * it may refuse.
   */
  deliver<T>(
    prepared: T | Promise<T>,
    plan: (prepared: T, server: Server) => Message,
    signal: AbortSignal | undefined,
  ): Promise<Delivery> {
    this.#checkReentry();
    const task = (letGo: () => void): Promise<Delivery> => {
      const connection = this.#live("not-sent");
      const transact = (ready: T): Promise<Delivery> => {
        const settings = { protocol: this.#settings.protocol, pipelining: this.#pipelines() };
        return new Transaction(connection, plan(ready, this.#introduction), settings).run(letGo);
      };
      return bounded(connection, this.#settings.timeouts().total, signal, () => {
        // At once where nothing is missing: only then can this envelope leave behind the last message's end.
        if (!(prepared instanceof Promise) && this.#introduced) return transact(prepared);
        return this.#helloIfNeeded("not-sent")
          .then(() => prepared)
          .then(transact);
      });
    };
    if (prepared instanceof Promise) prepared.catch(() => {});
    return this.#turns.shared(task, signal);
  }

  /** DATA and the content in an envelope that the caller opened; gives the last reply, whatever it is. */
  data(content: Content, policy: EightBitPolicy): Promise<Reply> {
    return this.#alone(() => this.#data(content, policy));
  }

  /** STARTTLS (RFC 3207): upgrades, and forgets what was learnt in clear. */
  startTls(options: TlsOptions & { servername: string }): Promise<Reply> {
    return this.#alone(() => this.#startTls(options));
  }

  /** Runs one SASL exchange (RFC 4954). `begin` is called when the turn comes. */
  authenticate(begin: (tls: TlsInfo | undefined) => AuthExchange): Promise<Reply> {
    return this.#alone(() => this.#authenticate(begin(this.#live().peer.tls)));
  }

  /** Runs several steps as one call that no other call can interrupt. */
  login(steps: (run: (exchange: AuthExchange) => Promise<Reply>) => Promise<Reply>): Promise<Reply> {
    return this.#alone(async () => {
      await this.#helloIfNeeded();
      return steps((exchange) => this.#authenticate(exchange));
    });
  }

  /** Sends octets as they are; `shown` is what the log may show of them. */
  sendRaw(octets: Uint8Array, shown: string): Promise<void> {
    return this.#alone(async () => {
      const connection = this.#live();
      if (octets.length > 0) await connection.sendRaw(octets, shown);
    });
  }

  /** Waits for the next reply. */
  nextReply(): Promise<Reply> {
    return this.#alone(() => this.#live().nextReply());
  }

  /** QUIT, then the end of the connection. */
  quit(): Promise<Reply> {
    return this.#alone(async () => {
      const connection = this.#live();
      try {
        return await connection.request(Command.simple("QUIT"));
      } finally {
        await connection.close();
        this.#introduction = unknownServer();
      }
    });
  }

  /** Drops the connection now, in the middle of whatever goes on. */
  close(): void {
    const reason = new SMTPServerDisconnected("the connection was closed by close()");
    this.#opening?.abort(reason);
    this.#connection?.drop(disconnected(reason.message));
  }

  /** Calls back into the caller's code; a call of his on this session would wait for itself there. */
  async callingOut<T>(callback: () => T | Promise<T>): Promise<T> {
    this.#callingOut = true;
    try {
      const result = callback();
      this.#callingOut = false;
      return await result;
    } finally {
      this.#callingOut = false;
    }
  }

  #alone<T>(task: () => Promise<T>): Promise<T> {
    this.#checkReentry();
    return this.#turns.alone(async () => task());
  }

  #checkReentry(): void {
    if (!this.#callingOut) return;
    throw new TypeError("a callback of a call on this session must not call the session: it would wait for itself");
  }

  #live(delivery?: DeliveryOutcome): Connection {
    const failure = this.#openFailure;
    this.#openFailure = undefined;
    if (failure !== undefined) throw failure.error;
    const connection = this.#connection;
    if (connection !== undefined && connection.end === undefined) return connection;
    const cause = connection?.end?.toError({});
    throw new SMTPServerDisconnected("please run connect() first", { delivery, cause });
  }

  async #connect(resolveTarget: () => Promise<Target>): Promise<Reply> {
    this.#connection?.drop(disconnected("connect() was called again"));
    this.#connection = undefined;
    this.#openFailure = undefined;
    this.#introduction = unknownServer();
    const opening = new AbortController();
    const stop = linkSignals(this.#settings.signal, opening);
    this.#opening = opening;
    try {
      const target = await resolveTarget();
      this.#settings.events.connecting(describe(target.endpoint));
      const stream = await openStream(target, this.#settings.timeouts(), opening.signal);
      return await this.#greeted(stream);
    } finally {
      this.#opening = undefined;
      stop();
    }
  }

  async #greeted(stream: ByteStream): Promise<Reply> {
    const connection = new Connection(stream, this.#settings);
    this.#connection = connection;
    abortWith(this.#settings.signal, connection);
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

  async #hello(verb: "EHLO" | "HELO", name: string | undefined, delivery?: DeliveryOutcome): Promise<Reply> {
    const connection = this.#live(delivery);
    const real = verb === "EHLO" && this.#settings.protocol === "lmtp" ? "LHLO" : verb;
    const command = Command.hello(real, name ?? this.#settings.localName(connection.peer));
    const reply = await connection.request(command);
    const { esmtp, ehlo, helo } = this.#introduction;
    if (verb === "HELO") this.#introduction = { ...this.#introduction, helo: reply.message };
    else if (!isPositive(reply.code)) this.#introduction = { esmtp, helo, ehlo: reply.message, features: noFeatures() };
    else this.#introduction = { esmtp: true, helo, ehlo: reply.message, features: parseFeatures(reply.lines) };
    if (ehlo !== undefined && !isPositive(reply.code)) this.#introduction = { ...this.#introduction, esmtp: false };
    return reply;
  }

  get #introduced(): boolean {
    return this.#introduction.ehlo !== undefined || this.#introduction.helo !== undefined;
  }

  async #helloIfNeeded(delivery?: DeliveryOutcome): Promise<void> {
    this.#live(delivery);
    if (this.#introduced) return;
    const first = await this.#hello("EHLO", undefined, delivery);
    if (isPositive(first.code)) return;
    const refusal = (reply: Reply): SMTPHeloError => new SMTPHeloError(reply.code, reply.message, { delivery, reply });
    // LMTP has no HELO to fall back to (RFC 2033 4.1), and nobody listens after a 421.
    if (this.#settings.protocol === "lmtp" || first.code === 421) throw refusal(first);
    const second = await this.#hello("HELO", undefined, delivery);
    if (!isPositive(second.code)) throw refusal(second);
  }

  #pipelines(): boolean {
    return this.#settings.pipelining && offers(this.#introduction.features, "PIPELINING");
  }

  #data(content: Content, policy: EightBitPolicy): Promise<Reply> {
    const connection = this.#live("not-sent");
    const sevenBitOnly = isSevenBitOnly(this.#introduction, policy);
    if (sevenBitOnly && content.eightBit === true) throw eightBitRefused();
    return new Promise((resolve, reject) => {
      const transfer = new DataTransfer(connection, content, {
        ended() {},
        complete: (replies) => resolve(replies[replies.length - 1] ?? connection.greeting),
        failed: reject,
      });
      const expected = this.#settings.protocol === "lmtp" ? Math.max(1, connection.dialogue.acceptedRecipients) : 1;
      const data = Command.data();
      data.receiver = {
        replied: (_, reply) =>
          reply.code === 354
            ? transfer.start(expected, sevenBitOnly)
            : reject(new SMTPDataError(reply.code, reply.message, { delivery: "rejected", reply })),
        lost: () => reject(connection.end?.toError({ delivery: "not-sent" })),
      };
      connection.sendData(data, transfer.end);
      connection.flush();
    });
  }

  async #startTls(options: TlsOptions & { servername: string }): Promise<Reply> {
    await this.#helloIfNeeded();
    const connection = this.#live();
    if (connection.peer.tls !== undefined) throw new SMTPNotSupportedError("the connection is encrypted already");
    if (!offers(this.#introduction.features, "STARTTLS")) {
      throw new SMTPNotSupportedError("STARTTLS extension not supported by server", { capability: "STARTTLS" });
    }
    const reply = await connection.request(Command.simple("STARTTLS"));
    if (reply.code !== 220) throw new SMTPResponseException(reply.code, reply.message, { reply });
    if (connection.dialogue.unread) {
      const end = disconnected("the server sent clear text behind its answer to STARTTLS, as an attacker would");
      connection.drop(end);
      throw end.toError({});
    }
    this.#introduction = unknownServer();
    await connection.startTls(options);
    return reply;
  }

  async #authenticate(exchange: AuthExchange): Promise<Reply> {
    const connection = this.#live();
    if (exchange.clearText) checkClearText(exchange.name, connection.peer, this.#settings.allowInsecureAuth);
    return authenticate(connection, {
      ...exchange,
      initial: () => this.callingOut(() => exchange.initial()),
      answer: (challenge) => this.callingOut(() => exchange.answer(challenge)),
    });
  }
}

function unknownServer(): Introduction {
  return { esmtp: false, features: noFeatures(), ehlo: undefined, helo: undefined };
}

/** Runs a call on a connection that its signal or its total time may end. */
async function bounded<T>(
  connection: Connection,
  total: number | undefined,
  signal: AbortSignal | undefined,
  task: () => Promise<T>,
): Promise<T> {
  const abort = (): void => connection.drop(aborted(signal?.reason));
  const bound = total === undefined ? undefined : connection.bound("total", total);
  signal?.addEventListener("abort", abort, { once: true });
  try {
    return await task();
  } finally {
    signal?.removeEventListener("abort", abort);
    bound?.release();
  }
}

/** Lets a session's signal drop its connection, for as long as that lives. */
function abortWith(signal: AbortSignal | undefined, connection: Connection): void {
  if (signal === undefined) return;
  const abort = (): void => connection.abort(signal.reason);
  if (signal.aborted) return abort();
  signal.addEventListener("abort", abort, { once: true });
  connection.onEnd(() => signal.removeEventListener("abort", abort));
}

/** Passes an abort on; the returned function ends that. */
function linkSignals(from: AbortSignal | undefined, to: AbortController): () => void {
  const abort = (): void => to.abort(from?.reason);
  if (from?.aborted) abort();
  from?.addEventListener("abort", abort, { once: true });
  return () => from?.removeEventListener("abort", abort);
}
