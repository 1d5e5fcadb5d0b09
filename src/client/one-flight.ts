/**
 * Sends a whole message in one flight: RSET, MAIL, RCPT, BDAT and the content leave together, followed by further
 * messages, before any reply arrives (`pipelining: "eager"`).
 *
 * RFC 3030 2 requires the replies to the envelope first. RSET still makes the flight safe: a server that refused a
 * whole envelope must not accept the next message with the sender of this one.
 */
import { bdatCommand } from "../core/bdat-command.ts";
import { Command, type ReplyReceiver } from "../core/command.ts";
import { isPositive, type RawReply } from "../core/reply.ts";
import { SMTPException, SMTPSenderRefused } from "../errors.ts";
import { encoderOf } from "./bdat-transfer.ts";
import { callerContext, type InContext } from "./caller-context.ts";
import { boundReplies, seemsUnknown } from "./chunking.ts";
import type { Connection } from "./connection.ts";
import { TransactionReplies } from "./outcome.ts";
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
  windowOf(connection).admit(new Flight(connection, message, observer, new TransactionReplies(message, protocol)));
}

/** One message in flight. */
class Flight implements ReplyReceiver {
  /** The bytes that the message occupies in the window. */
  readonly octets: number;
  readonly #connection: Connection;
  readonly #answers: TransactionReplies;
  readonly #finalReplies: RawReply[] = [];
  readonly #commands: Command[];
  readonly #parts: readonly Uint8Array[];
  #observer: TransactionObserver | undefined;
  /** Limits the wait for the other replies to the message. */
  #bound: { release(): void } | undefined;
  /** The number of writes at the time the message was put into the output. */
  #sentAt: number | undefined;

  constructor(
    connection: Connection,
    message: PlannedMessage,
    observer: TransactionObserver,
    answers: TransactionReplies,
  ) {
    this.#connection = connection;
    this.#observer = observer;
    this.#answers = answers;
    const encoder = encoderOf(message.plan.content, message.content);
    this.#parts = [encoder.encode(message.content.bytes ?? new Uint8Array(0)), encoder.end()];
    const content = this.#parts.reduce((sum, part) => sum + part.length, 0);
    const { mail, recipients } = message.plan;
    this.#commands = [new Command("RSET", "RSET", "command", this), new Command("MAIL", mail, "envelope", this)];
    for (const recipient of recipients) this.#commands.push(new Command("RCPT", recipient, "envelope", this));
    this.#commands.push(bdatCommand(content, "last", this));
    this.octets = this.#commands.reduce((sum, { shown }) => sum + shown.length + 2, content);
  }

  /** Lets the next message begin. */
  release(): void {
    this.#observer?.release();
  }

  /** Puts the whole message into the output. */
  send(): void {
    this.#connection.rejectUnsolicited();
    if (this.#connection.end !== undefined) return this.lost();
    try {
      for (const command of this.#commands) this.#connection.send(command);
    } catch (error) {
      // The caller has an unfinished exchange; the first command throws.
      return this.#settled()?.reject(error);
    }
    for (const part of this.#parts) this.#connection.output.addBytes(part);
    if (this.#connection.writable) this.#sentAt = this.#connection.writes;
  }

  /** Receives a reply to a command. */
  replied(command: Command, reply: RawReply): void {
    if (command.endsMessage) return this.#finalReply(reply);
    this.#answers.add(command.verb, reply);
    if (command.verb !== "RSET" || isPositive(reply.code)) return;
    this.#connection.drop(disconnected(`RSET was refused: ${reply.code} ${reply.message}`));
  }

  /** Called when the session ends before the last reply. */
  lost(): void {
    const { writes } = this.#connection;
    // While an earlier write is blocked, the message is still in the output.
    const delivery = this.#sentAt !== undefined && writes > this.#sentAt ? "unknown" : "not-sent";
    this.#connection.settings.chunking.unknownBy(this.#finalReplies, this.#connection);
    const lost = this.#connection.end?.toError({ delivery, replies: this.#finalReplies.map(({ reply }) => reply) });
    // The server may continue after a 421, and the message was sent: only a refusal of the whole envelope is final.
    this.#settled()?.reject((this.#answers.isHopeless && this.#answers.refusal()) || lost);
  }

  #finalReply(reply: RawReply): void {
    this.#finalReplies.push(reply);
    if (reply.code < 400 && !isPositive(reply.code)) return this.#broken(reply);
    if (isPositive(reply.code)) this.#connection.bdatAccepted = true;
    // If the whole envelope was refused, the reply to BDAT follows from that.
    const seems = !this.#answers.isHopeless && seemsUnknown(this.#finalReplies, this.#connection);
    if (this.#finalReplies.length < this.#answers.expected) {
      if (seems) this.#bound ??= boundReplies(this.#connection);
      else this.#bound?.release();
      return;
    }
    const unknown = seems && this.#connection.settings.chunking.unknownBy(this.#finalReplies, this.#connection);
    if (unknown) return this.#giveUp(disconnected(unknown.message, unknown), unknown);
    this.#connection.pipeliningTrust = "proven";
    const outcome = this.#answers.outcome(this.#finalReplies);
    if (outcome instanceof SMTPSenderRefused && isPositive(reply.code)) return this.#broken(reply);
    if (outcome instanceof SMTPException) this.#settled()?.reject(outcome);
    else this.#settled()?.resolve(outcome);
  }

  /** The server accepted a message whose sender it refused, or sent an invalid reply: the outcome is unknown. */
  #broken(reply: RawReply): void {
    const end = protocolBroken(`${reply.code} ${reply.message} as the answer to BDAT`);
    const replies = this.#finalReplies.map(({ reply }) => reply);
    this.#giveUp(end, end.toError({ delivery: "unknown", replies }));
  }

  /** Ends the session first: no other message may use the room of this one. */
  #giveUp(end: SessionEnd, error: unknown): void {
    const observer = this.#observer;
    this.#observer = undefined;
    this.#bound?.release();
    this.#connection.drop(end);
    observer?.reject(error);
  }

  #settled(): TransactionObserver | undefined {
    const observer = this.#observer;
    this.#observer = undefined;
    this.#bound?.release();
    if (observer !== undefined) windowOf(this.#connection).left(this.octets);
    return observer;
  }
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
