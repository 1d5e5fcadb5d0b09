/**
 * One message on a connection, by the path of nearly all messages: the server has PIPELINING, the content is in memory,
 * the verb is DATA. The envelope is sent as one group, after the end of the message before it; the content and its end
 * are one write. Each path settles the outcome exactly once.
 */
import { EnvelopeGroup } from "../core/envelope-group.ts";
import { isPositive, type RawReply } from "../core/reply.ts";
import type { SMTPException } from "../errors.ts";
import type { Connection } from "./connection.ts";
import { addMessage, PIECE, type TransferObserver } from "./content-transfer.ts";
import { DataTransfer } from "./data-transfer.ts";
import { Outcome, TransactionReplies } from "./outcome.ts";
import { protocolBroken } from "./session-end.ts";
import {
  type PlannedMessage,
  rejectAfterReset,
  reportOutcome,
  sendEmptyMessage,
  type TransactionObserver,
  type TransactionSettings,
} from "./transaction.ts";

/** A transaction that does not wait for single commands. */
export class GroupedTransaction extends EnvelopeGroup implements TransferObserver {
  readonly #connection: Connection;
  readonly #message: PlannedMessage;
  readonly #bytes: Uint8Array;
  readonly #observer: TransactionObserver;
  #hasData = false;
  /** The number of writes at the time the content and its end were put into the output. */
  #sentAt: number | undefined;
  /** Replaces this object if part of a reply to the message arrives before the message is sent. */
  #transfer: DataTransfer | undefined;
  /** The reason why an empty message was sent in place of this one. */
  #refusal: SMTPException | undefined;

  /** `bytes` is the content. */
  constructor(connection: Connection, message: PlannedMessage, bytes: Uint8Array, observer: TransactionObserver) {
    super(message.plan.mail, message.plan.recipients);
    this.#connection = connection;
    this.#message = message;
    this.#bytes = bytes;
    this.#observer = observer;
  }

  /** Sends the envelope. */
  start(): void {
    const connection = this.#connection;
    connection.rejectUnsolicited();
    if (connection.end !== undefined) return this.lost();
    connection.sendGroup(this);
    connection.flush();
  }

  /** Receives the last reply to the envelope, or the reply to the message. */
  protected replied(reply: RawReply): void {
    if (!this.#hasData) this.#envelopeAnswered(reply);
    else if (this.#refusal !== undefined) this.#observer.reject(this.#refusal);
    else if (this.#sentAt === undefined) this.#earlyReplyTransfer().replied(undefined, reply);
    else this.#messageAnswered(reply);
  }

  /** Called when the session ends before the reply to the message. */
  lost(): void {
    if (this.#transfer !== undefined) return this.#transfer.lost();
    const { end, writes } = this.#connection;
    const hasLeft = this.#sentAt !== undefined && writes > this.#sentAt;
    const answers = this.#answers();
    const known = this.#refusal ?? (this.#sentAt === undefined ? answers.refusal() : undefined);
    const lost = end?.toError({ delivery: hasLeft ? "unknown" : "not-sent" });
    this.#observer.reject(known ?? answers.noteKnown(lost));
  }

  /** The message was sent, so the next one may follow, after the recipients for which there was no room. */
  ended(): void {
    if (this.isAccepted || !this.#answers().hasFull) this.#observer.release();
  }

  /** Called with all replies to the message. */
  complete(finalReplies: readonly RawReply[]): void {
    reportOutcome(this.#connection, this.#message, PIPELINED, this.#observer, this.#answers(), finalReplies);
  }

  /** The message was not delivered, or the outcome is unknown. */
  undelivered(error: unknown): void {
    this.#observer.reject(this.#answers().noteKnown(error));
  }

  #envelopeAnswered({ code }: RawReply): void {
    const connection = this.#connection;
    this.#hasData = true;
    // The connection is dropped next.
    if (code === 421 || connection.end !== undefined) return this.lost();
    connection.pipeliningTrust = "proven";
    const refusal = this.isAccepted ? undefined : this.#answers().refusal();
    if (refusal === undefined) this.#sendContent();
    else if (code === 354) {
      this.#refusal = refusal;
      sendEmptyMessage(connection);
    } else void rejectAfterReset(connection, this.#observer, refusal);
  }

  #sendContent(): void {
    const connection = this.#connection;
    const { dialogue, fault, output } = connection;
    // The server sent more than its 354: that is its reply to the message, and arrives here next.
    if (dialogue.position !== "body" || fault !== undefined) return;
    if (dialogue.hasUnreadBytes) return this.#earlyReplyTransfer().start(1, this.#message.plan.sevenBitOnly);
    if (!connection.writable) return;
    addMessage(output, this.#bytes, this.#message.content);
    this.#sentAt = connection.writes;
    dialogue.endBody();
    this.ended();
    connection.flush();
  }

  #messageAnswered(reply: RawReply): void {
    if (this.isAccepted) return this.#observer.resolve(new Outcome(this.#message.to, this.replies.slice(1, -2), reply));
    if (reply.code >= 400 || isPositive(reply.code)) return this.complete([reply]);
    // 3yz is no reply to a message: the outcome is unknown.
    const why = protocolBroken(`${reply.code} as the answer to a message`);
    this.undelivered(why.toError({ delivery: "unknown", replies: [] }));
    this.#connection.drop(why);
  }

  /** Interprets the replies to the envelope. */
  #answers(): TransactionReplies {
    const answers = new TransactionReplies(this.#message, "smtp");
    for (const [index, reply] of this.replies.entries()) answers.add(this.verbOf(index), reply);
    return answers;
  }

  /** Deals with a reply that arrives before the message; it never sends that. */
  #earlyReplyTransfer(): DataTransfer {
    this.#transfer ??= new DataTransfer(this.#connection, this.#message.content, this);
    return this.#transfer;
  }
}

/** The content of a message that one group can send; undefined for other messages. */
export function contentInGroup(
  { dialogue }: Connection,
  { content: { bytes }, plan }: PlannedMessage,
): Uint8Array | undefined {
  if (bytes === undefined || bytes.length > PIECE || plan.verb !== "DATA" || dialogue.transactionOpen) return undefined;
  return bytes;
}

const PIPELINED: TransactionSettings = { pipelining: true, protocol: "smtp" };
