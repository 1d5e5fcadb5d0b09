/**
 * Sends a whole message in one flight: RSET, MAIL, RCPT, BDAT and the content leave together, followed by further
 * messages, before any reply arrives (`pipelining: "eager"`).
 *
 * RFC 3030 2 requires the replies to the envelope first. RSET still makes the flight safe: a server that refused a
 * whole envelope must not accept the next message with the sender of this one.
 */
import { FlightGroup } from "../core/flight-group.ts";
import { isPositive, type RawReply } from "../core/reply.ts";
import { SMTPException, SMTPSenderRefused } from "../errors.ts";
import { encoderOf } from "./bdat-transfer.ts";
import { callerContext, type InContext } from "./caller-context.ts";
import { boundReplies, seemsUnknown } from "./chunking.ts";
import type { Connection } from "./connection.ts";
import { Outcome, TransactionReplies } from "./outcome.ts";
import { disconnected, protocolBroken, type SessionEnd } from "./session-end.ts";
import type { PlannedMessage, TransactionObserver } from "./transaction.ts";

/** Bytes of messages and envelopes that may be unanswered on a connection, i.e. unknown if it is lost. */
const WINDOW = 262_144;

/** Bytes in the output that cause a flush at once. */
const ENOUGH = 65_536;

/**
 * Sends a message that is in memory; the observer gets the exceptions that `sendmail` documents. If the connection is
 * lost, each unanswered message is "unknown".
 */
export function sendInOneFlight(
  connection: Connection,
  message: PlannedMessage,
  protocol: "smtp" | "lmtp",
  observer: TransactionObserver,
): void {
  windowOf(connection).admit(new Flight(connection, message, observer, protocol, encoded(message)));
}

/** One message in flight. */
class Flight extends FlightGroup {
  /** The bytes that the message occupies in the window. */
  readonly octets: number;
  readonly #connection: Connection;
  readonly #message: PlannedMessage;
  readonly #protocol: "smtp" | "lmtp";
  readonly #content: EncodedContent;
  readonly #finalReplies: RawReply[] = [];
  /** The replies to the envelope, once they are needed to interpret those to the message. */
  #envelope: TransactionReplies | undefined;
  #observer: TransactionObserver | undefined;
  /** Limits the wait for the other replies to the message. */
  #bound: { release(): void } | undefined;
  /** The number of writes at the time the message was put into the output. */
  #sentAt: number | undefined;

  constructor(
    connection: Connection,
    message: PlannedMessage,
    observer: TransactionObserver,
    protocol: "smtp" | "lmtp",
    content: EncodedContent,
  ) {
    const { mail, recipients } = message.plan;
    super({ mail, recipients, octets: content.octets, protocol });
    this.#connection = connection;
    this.#message = message;
    this.#observer = observer;
    this.#protocol = protocol;
    this.#content = content;
    this.octets = this.wire.length + content.octets;
  }

  /** Lets the next message begin. */
  release(): void {
    this.#observer?.release();
  }

  /** Puts the whole message into the output. */
  send(): void {
    const connection = this.#connection;
    connection.rejectUnsolicited();
    if (connection.end !== undefined) return this.lost();
    try {
      connection.sendGroup(this);
    } catch (error) {
      // The caller has an unfinished exchange.
      return this.#settled()?.reject(error);
    }
    for (const part of this.#content.parts) connection.output.addBytes(part);
    if (connection.writable) this.#sentAt = connection.writes;
  }

  /** Called when the session ends before the last reply. */
  lost(): void {
    const { writes } = this.#connection;
    // While an earlier write is blocked, the message is still in the output.
    const delivery = this.#sentAt !== undefined && writes > this.#sentAt ? "unknown" : "not-sent";
    this.#connection.settings.chunking.unknownBy(this.#finalReplies, this.#connection);
    const lost = this.#connection.end?.toError({ delivery, replies: this.#finalReplies.map(({ reply }) => reply) });
    const answers = this.#answers();
    // The server may continue after a 421, and the message was sent: only a refusal of the whole envelope is final.
    this.#settled()?.reject((answers.isHopeless && answers.refusal()) || answers.noteKnown(lost));
  }

  protected resetAnswered({ code, message }: RawReply): void {
    if (!isPositive(code)) this.#connection.drop(disconnected(`RSET was refused: ${code} ${message}`));
  }

  protected messageAnswered(reply: RawReply): void {
    const connection = this.#connection;
    this.#finalReplies.push(reply);
    if (isPositive(reply.code)) connection.bdatAccepted = true;
    if (!this.isAccepted || this.#protocol === "lmtp") return this.#partlyAnswered(reply);
    connection.pipeliningTrust = "proven";
    this.#settled()?.resolve(new Outcome(this.#message.to, this.recipientReplies, reply));
  }

  /** A reply to a message of which not all was accepted, or that has several. */
  #partlyAnswered(reply: RawReply): void {
    const connection = this.#connection;
    if (reply.code < 400 && !isPositive(reply.code)) return this.#broken(reply);
    this.#envelope ??= this.#answers();
    const answers = this.#envelope;
    // If the whole envelope was refused, the reply to BDAT follows from that.
    const seems = !answers.isHopeless && seemsUnknown(this.#finalReplies, connection);
    if (this.#finalReplies.length < answers.expected) {
      if (seems) this.#bound ??= boundReplies(connection);
      else this.#bound?.release();
      return;
    }
    const unknown = seems && connection.settings.chunking.unknownBy(this.#finalReplies, connection);
    if (unknown) return this.#giveUp(disconnected(unknown.message, unknown), unknown);
    connection.pipeliningTrust = "proven";
    const outcome = answers.outcome(this.#finalReplies);
    if (outcome instanceof SMTPSenderRefused && isPositive(reply.code)) return this.#broken(reply);
    if (outcome instanceof SMTPException) this.#settled()?.reject(outcome);
    else this.#settled()?.resolve(outcome);
  }

  /** The server accepted a message whose sender it refused, or sent an invalid reply: the outcome is unknown. */
  #broken(reply: RawReply): void {
    const end = protocolBroken(`${reply.code} ${reply.message} as the answer to BDAT`);
    const replies = this.#finalReplies.map(({ reply }) => reply);
    this.#giveUp(end, this.#answers().noteKnown(end.toError({ delivery: "unknown", replies })));
  }

  /** Ends the session first: no other message may use the room of this one. */
  #giveUp(end: SessionEnd, error: unknown): void {
    const observer = this.#observer;
    this.#observer = undefined;
    this.#bound?.release();
    this.#connection.drop(end);
    observer?.reject(error);
  }

  /** Interprets the replies to the envelope. */
  #answers(): TransactionReplies {
    const answers = new TransactionReplies(this.#message, this.#protocol);
    for (const [index, reply] of this.replies.entries()) answers.add(this.verbOf(index), reply);
    return answers;
  }

  #settled(): TransactionObserver | undefined {
    const observer = this.#observer;
    this.#observer = undefined;
    this.#bound?.release();
    if (observer !== undefined) windowOf(this.#connection).left(this.octets);
    return observer;
  }
}

/** The bytes of a message's content as they are sent. */
type EncodedContent = { readonly parts: readonly Uint8Array[]; readonly octets: number };

function encoded({ plan, content }: PlannedMessage): EncodedContent {
  const encoder = encoderOf(plan.content, content);
  const parts = [encoder.encode(content.bytes ?? new Uint8Array(0)), encoder.end()];
  return { parts, octets: parts.reduce((sum, part) => sum + part.length, 0) };
}

/** The messages in flight on one connection. */
class FlightWindow {
  readonly #connection: Connection;
  #octets = 0;
  #waiting: Flight | undefined;
  /** The context of the waiting call, if its commands have a listener. */
  #within: InContext | undefined;
  #flushes = false;

  constructor(connection: Connection) {
    this.#connection = connection;
    connection.onEnd(() => this.#waiting?.lost());
  }

  /** Sends a message once there is room, at once if there is; the flight keeps its turn until then. */
  admit(flight: Flight): void {
    const full = this.#octets > 0 && this.#octets + flight.octets > WINDOW;
    this.#octets += flight.octets;
    if (full) this.#hold(flight);
    else this.#send(flight);
  }

  #hold(flight: Flight): void {
    this.#waiting = flight;
    if (this.#connection.settings.events.traceEnabled !== undefined) this.#within = callerContext();
  }

  /** Removes a message from the window. Waits until half of it is free, to send few large writes. */
  left(octets: number): void {
    this.#octets -= octets;
    const waiting = this.#waiting;
    // A session that ends next sends no more; the waiting message is notified then.
    if (waiting === undefined || this.#connection.fault !== undefined) return;
    if (this.#octets > waiting.octets && this.#octets > WINDOW / 2) return;
    const within = this.#within;
    this.#waiting = undefined;
    this.#within = undefined;
    if (within === undefined) this.#send(waiting);
    else within(() => this.#send(waiting));
  }

  #send(flight: Flight): void {
    flight.send();
    if (this.#connection.output.length >= ENOUGH) this.#connection.flush();
    else this.#flushSoon();
    flight.release();
  }

  /** Messages sent in the same turn of the event loop leave in one write. */
  #flushSoon(): void {
    if (this.#flushes) return;
    this.#flushes = true;
    // Fake timers in tests may hold `queueMicrotask` back.
    void Promise.resolve().then(() => {
      this.#flushes = false;
      this.#connection.flush();
    });
  }
}

const windows = new WeakMap<Connection, FlightWindow>();

function windowOf(connection: Connection): FlightWindow {
  const known = windows.get(connection);
  if (known !== undefined) return known;
  const window = new FlightWindow(connection);
  windows.set(connection, window);
  return window;
}
