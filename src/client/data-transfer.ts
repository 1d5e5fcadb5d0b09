/**
 * A message's content on its way, from the 354 to the last reply. The end is sent only after all of the content, so
 * that nobody can take half a message for a whole one; an answer that comes early is the answer.
 */
import { DataEncoder } from "../core/body.ts";
import { Command, type ReplyReceiver } from "../core/command.ts";
import { isPositive, type RawReply } from "../core/reply.ts";
import { SMTPDataError, SMTPException } from "../errors.ts";
import { type Connection, GRACE } from "./connection.ts";
import { lazy } from "./lazy.ts";
import { disconnected } from "./session-end.ts";
import type { Content } from "./source.ts";
import type { Flush, PieceWriter } from "./stream-body.ts";

/** Who is told how the transfer goes; of `complete` and `failed` one is called, once. */
export type TransferObserver = {
  /** The end is in the output, not yet flushed: the next transaction may put its envelope behind it. */
  ended(): void;
  /** All replies to the message are here. */
  complete(replies: readonly RawReply[]): void;
  /** The message was not delivered, or nobody knows. */
  failed(error: unknown): void;
};

/** A message in memory of at most this many octets is one write; more goes in pieces of about that size. */
export const PIECE = 65_536;

const streaming = lazy(() => import("./stream-body.ts"));

/** Writes one message's content. */
export class DataTransfer implements ReplyReceiver, PieceWriter {
  /** Stands for the end of the message; its replies come here. */
  readonly endCommand: Command = Command.endOfData();
  /** Called when the transfer is over, for who waits for something else meanwhile. */
  interrupt: () => void = () => {};
  /** True once the outcome is known: nothing more may be written. */
  over = false;
  readonly #connection: Connection;
  readonly #content: Content;
  readonly #observer: TransferObserver;
  readonly #encoder = new DataEncoder();
  readonly #replies: RawReply[] = [];
  #expected = 1;
  #answer: { release(): void } | undefined;
  #endHandedOver = false;

  constructor(connection: Connection, content: Content, observer: TransferObserver) {
    this.#connection = connection;
    this.#content = content;
    this.#observer = observer;
    this.endCommand.receiver = this;
  }

  /** After the 354: writes the content; `expected` replies will answer it. */
  start(expected: number, sevenBitOnly: boolean): void {
    this.#expected = expected;
    // The server said more than its 354 at once: that is its answer to the message, and comes here next.
    if (this.#connection.dialogue.position !== "body" || this.#connection.fault !== undefined) return;
    if (this.#connection.dialogue.unread) return this.#awaitAnswer();
    const { bytes } = this.#content;
    if (bytes === undefined || bytes.length > PIECE) return void this.#stream(sevenBitOnly);
    this.#connection.output.addBytes(this.#encoder.encode(bytes));
    this.end();
  }

  /** A piece of the content. */
  add(piece: Uint8Array, flush: Flush): Promise<void> | undefined {
    const { output } = this.#connection;
    output.addBytes(this.#encoder.encode(piece));
    return output.length < PIECE ? undefined : flush();
  }

  /** All of the content is in the output: the end goes behind it. */
  end(): void {
    if (!this.#connection.writable) return;
    if (this.#connection.dialogue.unread) return this.#awaitAnswer();
    this.#connection.output.addBytes(this.#encoder.end());
    this.#connection.dialogue.bodySent();
    this.#endHandedOver = true;
    this.#observer.ended();
    this.#connection.flush();
  }

  /** There is no other way out of DATA than the end, which must not be sent: the connection is dropped. */
  giveUp(error: SMTPException): void {
    this.#finish()?.failed(error);
    this.#connection.drop(disconnected(error.message, error.cause ?? error));
  }

  /** A reply to the message. */
  replied(_: Command, reply: RawReply): void {
    if (!this.#endHandedOver) return this.#earlyReply(reply);
    if (reply.code < 400 && !isPositive(reply.code)) return this.#nonsense(reply);
    this.#replies.push(reply);
    if (this.#replies.length === this.#expected) this.#finish()?.complete(this.#replies);
  }

  /** The session ended before the last reply to the message. */
  lost(): void {
    const delivery = this.#endHandedOver ? "unknown" : "not-sent";
    this.#finish()?.failed(
      this.#connection.end?.toError({ delivery, replies: this.#replies.map(({ reply }) => reply) }),
    );
  }

  async #stream(sevenBitOnly: boolean): Promise<void> {
    try {
      await streaming(({ streamBody }) => streamBody(this, this.#connection, this.#content, sevenBitOnly));
    } catch (error) {
      this.giveUp(new SMTPException("the message cannot be streamed", { cause: error, delivery: "not-sent" }));
    }
  }

  /** The server has its verdict before the message is over. */
  #earlyReply(reply: RawReply): void {
    const refused = reply.code >= 400;
    const text = `an answer to the message before its end: ${reply.code} ${reply.message}`;
    const end = disconnected(refused ? text : `the server broke the protocol: ${text}`);
    const error = refused
      ? new SMTPDataError(reply.code, reply.message, { delivery: "rejected", reply: reply.reply })
      : end.toError({ delivery: "not-sent" });
    this.#finish()?.failed(error);
    this.#connection.drop(end);
  }

  /** 3yz is no answer to a message: nobody knows what became of it. */
  #nonsense(reply: RawReply): void {
    const end = disconnected(`the server broke the protocol: ${reply.code} as the answer to a message`);
    this.#finish()?.failed(end.toError({ delivery: "unknown", replies: this.#replies.map(({ reply }) => reply) }));
    this.#connection.drop(end);
  }

  /** Half an answer is here before the end: its rest decides, and the end is not sent, or it would pass for the answer to that. */
  #awaitAnswer(): void {
    const end = disconnected("the server broke the protocol: half an answer to the message before its end");
    this.#answer = this.#connection.bound("dataInit", GRACE, end);
  }

  #finish(): TransferObserver | undefined {
    if (this.over) return undefined;
    this.over = true;
    this.#answer?.release();
    this.interrupt();
    return this.#observer;
  }
}
