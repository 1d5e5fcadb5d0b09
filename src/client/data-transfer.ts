/**
 * Sends a message's content by DATA, from the 354 to the last reply. The end is sent only after all of the content, so
 * that no server accepts half a message as a whole one. An early reply is final.
 */
import type { DataEncoder } from "../core/body.ts";
import { Command, type ReplyReceiver } from "../core/command.ts";
import { isPositive, type RawReply } from "../core/reply.ts";
import { type DeliveryOutcome, SMTPDataError, type SMTPException } from "../errors.ts";
import { type Flush, longDataEncoder, type PieceWriter, pumpBody } from "./body-pump.ts";
import { type Connection, GRACE } from "./connection.ts";
import type { Content } from "./content.ts";
import { addMessage, PIECE, type TransferObserver } from "./content-transfer.ts";
import { disconnected, protocolBroken } from "./session-end.ts";

/** Writes one message's content. */
export class DataTransfer implements ReplyReceiver, PieceWriter {
  /** Represents the end of the message; receives its replies. */
  readonly endCommand: Command = new Command(".", ".", "dataDone", this);
  readonly piece: number = PIECE;
  interrupt: () => void = nothing;
  over = false;
  readonly #connection: Connection;
  readonly #content: Content;
  readonly #observer: TransferObserver;
  readonly #replies: RawReply[] = [];
  #encoder: DataEncoder | undefined;
  #expected = 1;
  #endHandedOver = false;
  /** The number of writes at the time the end was put into the output. */
  #endedAt = 0;
  /** Limits the wait for the rest of an early reply. */
  #answer: { release(): void } | undefined;
  #partlyReplied: (() => void) | undefined;

  constructor(connection: Connection, content: Content, observer: TransferObserver) {
    this.#connection = connection;
    this.#content = content;
    this.#observer = observer;
  }

  /** Writes the content after the 354; `expected` replies will answer it. */
  start(expected: number, sevenBitOnly: boolean): void {
    const { dialogue, fault, output, writable } = this.#connection;
    this.#expected = expected;
    // The server sent more than its 354: that is its reply to the message, and arrives here next.
    if (dialogue.position !== "body" || fault !== undefined) return;
    if (dialogue.hasUnreadBytes) return this.#awaitAnswer();
    const { bytes } = this.#content;
    if (bytes === undefined || bytes.length > PIECE) return this.#pump(sevenBitOnly);
    if (!writable) return;
    addMessage(output, bytes, this.#content);
    this.#ended();
  }

  /** Adds a piece of the content. */
  add(piece: Uint8Array, flush: Flush): Promise<void> | undefined {
    const { output } = this.#connection;
    if (this.#encoder !== undefined) output.addBytes(this.#encoder.encode(piece));
    return output.length < PIECE ? undefined : flush();
  }

  /** The output contains all accepted bytes. */
  pause(flush: Flush): Promise<void> | undefined {
    return flush();
  }

  /** As `pause`. */
  finish(flush: Flush): Promise<void> | undefined {
    return flush();
  }

  /** Sends the end. */
  end(): void {
    const { dialogue, output, writable } = this.#connection;
    if (this.#encoder === undefined || !writable) return;
    if (dialogue.hasUnreadBytes) return this.#awaitAnswer();
    output.addBytes(this.#encoder.end());
    this.#ended();
  }

  /** DATA ends only with the end of the message, which must not be sent, so the connection is dropped. */
  giveUp(error: SMTPException): void {
    this.#finish()?.undelivered(error);
    this.#connection.drop(disconnected(error.message, error.cause ?? error));
  }

  /** Receives a reply to the message. */
  replied(_: unknown, reply: RawReply): void {
    if (!this.#endHandedOver) return this.#earlyReply(reply);
    // 3yz is no reply to a message: the outcome is unknown.
    if (reply.code < 400 && !isPositive(reply.code)) {
      return this.#broken(`${reply.code} as the answer to a message`, "unknown");
    }
    this.#replies.push(reply);
    if (this.#replies.length === this.#expected) this.#finish()?.complete(this.#replies);
  }

  /** Called when the session ends before the last reply. */
  lost(): void {
    const hasLeft = this.#endHandedOver && this.#connection.writes > this.#endedAt;
    this.#undelivered(hasLeft ? "unknown" : "not-sent");
  }

  /** The end is in the output. */
  #ended(): void {
    this.#endedAt = this.#connection.writes;
    this.#connection.dialogue.endBody();
    this.#endHandedOver = true;
    this.#observer.ended();
    this.#connection.flush();
  }

  #undelivered(delivery: DeliveryOutcome, why = this.#connection.end): void {
    this.#finish()?.undelivered(why?.toError({ delivery, replies: this.#replies.map(({ reply }) => reply) }));
  }

  #pump(sevenBitOnly: boolean): void {
    this.#encoder = longDataEncoder(this.#content, this.#connection);
    // A source may pause for ever: no timer runs then, and nothing else checks received bytes.
    this.#partlyReplied = () => {
      if (!this.#endHandedOver) this.#awaitAnswer();
    };
    this.#connection.partlyReplied = this.#partlyReplied;
    void pumpBody(this, this.#connection, this.#content, sevenBitOnly);
  }

  /** The server replies before the message ends. */
  #earlyReply({ code, message, reply }: RawReply): void {
    const text = `an answer to the message before its end: ${code} ${message}`;
    if (code < 400) return this.#broken(text, "not-sent");
    this.#finish()?.undelivered(new SMTPDataError(code, message, { delivery: "rejected", reply }));
    this.#connection.drop(disconnected(text));
  }

  #broken(how: string, delivery: DeliveryOutcome): void {
    const why = protocolBroken(how);
    this.#undelivered(delivery, why);
    this.#connection.drop(why);
  }

  /** Half a reply arrived before the end. Its rest decides; the end is not sent, as it would seem answered. */
  #awaitAnswer(): void {
    const why = protocolBroken("half an answer to the message before its end");
    this.#answer ??= this.#connection.setDeadline("dataInit", GRACE, why);
  }

  #finish(): TransferObserver | undefined {
    if (this.over) return undefined;
    this.over = true;
    this.#answer?.release();
    if (this.#partlyReplied !== undefined && this.#connection.partlyReplied === this.#partlyReplied) {
      this.#connection.partlyReplied = undefined;
    }
    this.interrupt();
    return this.#observer;
  }
}

function nothing(): void {}
