/**
 * One message on a connection, in the way that nearly all messages take: a server with PIPELINING, a content that is in
 * memory, DATA. The envelope leaves as one group, behind the end of the message before it; the content leaves with its
 * end in one write. Each way out settles the outcome exactly once.
 */
import { DataEncoder } from "../core/body.ts";
import { EnvelopeGroup } from "../core/envelope-group.ts";
import { isPositive, type RawReply } from "../core/reply.ts";
import { SMTPException } from "../errors.ts";
import type { Connection } from "./connection.ts";
import { PIECE, type TransferObserver } from "./content-transfer.ts";
import { DataTransfer } from "./data-transfer.ts";
import { FullDelivery, TransactionReplies } from "./outcome.ts";
import { sendRest } from "./recipient-batches.ts";
import { disconnected, protocolBroken } from "./session-end.ts";
import { type PlannedMessage, Transaction, type TransactionObserver, type TransactionSettings } from "./transaction.ts";

/** A transaction whose commands are not waited for one by one. */
export class GroupedTransaction extends EnvelopeGroup implements TransferObserver {
  readonly #connection: Connection;
  readonly #message: PlannedMessage;
  readonly #bytes: Uint8Array;
  readonly #observer: TransactionObserver;
  #hasData = false;
  /** How many writes there had been when the content and its end were put into the output. */
  #sentAt: number | undefined;
  /** Takes over where a reply to the message, or a part of one, is here before the message. */
  #transfer: DataTransfer | undefined;
  /** Why the message that was ended empty was not sent. */
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
    connection.dialogue.sendEnvelope(this, connection.output);
    connection.flush();
  }

  /** All replies to the envelope are here, or the reply to the message. */
  replied(reply: RawReply): void {
    if (!this.#hasData) this.#envelopeAnswered(reply);
    else if (this.#refusal !== undefined) this.#observer.reject(this.#refusal);
    else if (this.#sentAt === undefined) this.#carefully().replied(undefined, reply);
    else this.#messageAnswered(reply);
  }

  /** The session ended before the reply to the message. */
  lost(): void {
    if (this.#transfer !== undefined) return this.#transfer.lost();
    const { end, writes } = this.#connection;
    const hasLeft = this.#sentAt !== undefined && writes > this.#sentAt;
    const known = this.#refusal ?? (this.#sentAt === undefined ? this.#answers().refusal() : undefined);
    this.#observer.reject(known ?? end?.toError({ delivery: hasLeft ? "unknown" : "not-sent" }));
  }

  /** The message is on its way: the next one may follow. Those that found no room come first. */
  ended(): void {
    if (this.isAccepted || !this.#answers().hasFull) this.#observer.release();
  }

  /** All replies to the message are here. */
  complete(finalReplies: readonly RawReply[]): void {
    const answers = this.#answers();
    const outcome = answers.outcome(finalReplies);
    if (outcome instanceof SMTPException) return this.#observer.reject(outcome);
    if (!answers.hasFull) return this.#observer.resolve(outcome);
    sendRest(this.#message, outcome, answers.rcpt, this.#observer, (rest, observer) =>
      new Transaction(this.#connection, rest, PIPELINED, observer).start(),
    );
  }

  /** The message was not delivered, or nobody knows. */
  undelivered(error: unknown): void {
    this.#observer.reject(error);
  }

  #envelopeAnswered({ code }: RawReply): void {
    const connection = this.#connection;
    this.#hasData = true;
    // The connection is dropped next.
    if (code === 421 || connection.end !== undefined) return this.lost();
    connection.pipeliningTrust = "proven";
    const refusal = this.isAccepted ? undefined : this.#answers().refusal();
    if (refusal === undefined) this.#sendContent();
    else if (code === 354) this.#endEmpty(refusal);
    else void this.#resetThenFail(refusal);
  }

  #sendContent(): void {
    const connection = this.#connection;
    const { dialogue, fault, output } = connection;
    // The server said more than its 354 at once: that is its answer to the message, and comes here next.
    if (dialogue.position !== "body" || fault !== undefined) return;
    if (dialogue.hasUnreadBytes) return this.#carefully().start(1, this.#message.plan.sevenBitOnly);
    if (!connection.writable) return;
    const { octets, dots } = this.#message.content;
    const bytes = this.#bytes;
    if (octets === bytes.length && dots !== undefined) {
      output.addContent(bytes, dots);
      output.addText(bytes.length === 0 || bytes[bytes.length - 1] === LF ? ".\r\n" : "\r\n.\r\n");
    } else {
      const encoder = new DataEncoder();
      output.addBytes(encoder.encode(bytes));
      output.addBytes(encoder.end());
    }
    this.#sentAt = connection.writes;
    dialogue.endBody();
    this.ended();
    connection.flush();
  }

  #messageAnswered(reply: RawReply): void {
    if (this.isAccepted) return this.#observer.resolve(new FullDelivery(this.#message.to, this.replies, reply));
    if (reply.code >= 400 || isPositive(reply.code)) return this.complete([reply]);
    // 3yz is no answer to a message: nobody knows what became of it.
    const why = protocolBroken(`${reply.code} as the answer to a message`);
    this.#observer.reject(why.toError({ delivery: "unknown", replies: [] }));
    this.#connection.drop(why);
  }

  /** The replies to the envelope, and what they come to. */
  #answers(): TransactionReplies {
    const answers = new TransactionReplies(this.#message, "smtp");
    for (const [index, reply] of this.replies.entries()) answers.add(this.verbOf(index), reply);
    return answers;
  }

  #carefully(): DataTransfer {
    this.#transfer ??= new DataTransfer(this.#connection, this.#message.content, this);
    return this.#transfer;
  }

  /** 354 although nobody is left to receive: an empty message ends it, its reply means nothing (RFC 2920 3.1). */
  #endEmpty(refusal: SMTPException): void {
    const connection = this.#connection;
    const { dialogue } = connection;
    this.#refusal = refusal;
    // Where an answer is here before the message, the answer to that would be taken for the one to the next command.
    if (dialogue.hasUnreadBytes || dialogue.position !== "body") {
      return connection.drop(disconnected("the server asked for data that nobody would receive"));
    }
    connection.output.addText(".\r\n");
    dialogue.endBody();
    connection.flush();
  }

  /** No accepted recipient of a failed transaction may remain for the next one (RFC 5321 4.1.1.5). */
  async #resetThenFail(refusal: SMTPException): Promise<void> {
    await this.#connection.reset();
    this.#observer.reject(refusal);
  }
}

/** The content of a message that can go in one group; undefined for one that needs more care. */
export function contentInGroup(
  { dialogue, settings }: Connection,
  { content: { bytes }, plan }: PlannedMessage,
): Uint8Array | undefined {
  if (bytes === undefined || bytes.length > PIECE || plan.verb !== "DATA" || dialogue.transactionOpen) return undefined;
  return settings.events.traceEnabled === undefined ? bytes : undefined;
}

const PIPELINED: TransactionSettings = { pipelining: true, protocol: "smtp" };

const LF = 10;
