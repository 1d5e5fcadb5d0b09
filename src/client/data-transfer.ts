/**
 * A message's content on its way, from the 354 to the last reply. The end is sent only after all of the content, so
 * that nobody can take half a message for a whole one; an answer that comes early is the answer.
 */
import { DataEncoder, hasEightBit } from "../core/body.ts";
import { Command, type ReplyReceiver } from "../core/command.ts";
import { eightBitRefused } from "../core/plan.ts";
import type { Reply } from "../core/reply.ts";
import { type DeliveryOutcome, SMTPDataError, SMTPException } from "../errors.ts";
import type { Connection } from "./connection.ts";
import { disconnected } from "./session-end.ts";
import type { Chunks, Content } from "./source.ts";

/** Who is told how the transfer goes; of `complete` and `failed` one is called, once. */
export type TransferObserver = {
  /** The end is in the output, not yet flushed: the next transaction may put its envelope behind it. */
  ended(): void;
  /** All replies to the message are here. */
  complete(replies: readonly Reply[]): void;
  /** The message was not delivered, or nobody knows. */
  failed(error: unknown): void;
};

/** A body is written in pieces of about this many octets (DESIGN.md, section 4). */
const PIECE = 65_536;

/** Writes one message's content. */
export class DataTransfer implements ReplyReceiver {
  /** Stands for the end of the message; its replies come here. */
  readonly end: Command = Command.endOfData();
  readonly #connection: Connection;
  readonly #content: Content;
  readonly #encoder = new DataEncoder();
  readonly #observer: TransferObserver;
  readonly #replies: Reply[] = [];
  #expected = 1;
  #endHandedOver = false;
  #over = false;
  #interrupt: (() => void) | undefined;

  constructor(connection: Connection, content: Content, observer: TransferObserver) {
    this.#connection = connection;
    this.#content = content;
    this.#observer = observer;
    this.end.receiver = this;
  }

  /** What is known of the message if the connection dies now. */
  get delivery(): DeliveryOutcome {
    return this.#endHandedOver ? "unknown" : "not-sent";
  }

  /** After the 354: writes the content; `expected` replies will answer it. */
  start(expected: number, sevenBitOnly: boolean): void {
    this.#expected = expected;
    const content = this.#content;
    if (content.bytes === undefined) return void this.#stream(content.chunks(), sevenBitOnly);
    if (content.bytes.length > PIECE) return void this.#stream(oneChunk(content.bytes), false);
    this.#connection.output.addBytes(this.#encoder.encode(content.bytes));
    this.#endBody();
  }

  /** A reply to the message. */
  replied(_: Command, reply: Reply): void {
    if (!this.#endHandedOver) return this.#earlyReply(reply);
    this.#replies.push(reply);
    if (this.#replies.length === this.#expected) this.#finish()?.complete(this.#replies);
  }

  /** The session ended before the last reply to the message. */
  lost(): void {
    const details = { delivery: this.delivery, replies: this.#replies };
    this.#finish()?.failed(this.#connection.end?.toError(details));
  }

  async #stream(chunks: Chunks, sevenBitOnly: boolean): Promise<void> {
    try {
      for (;;) {
        const chunk = await this.#unlessOver(chunks.next());
        if (this.#over) return chunks.cancel();
        if (chunk === undefined) break;
        if (sevenBitOnly && hasEightBit(chunk)) return this.#giveUp(chunks, eightBitRefused());
        await this.#write(chunk);
        if (this.#over) return chunks.cancel();
      }
      // What stands before the end goes first: the outcome is unknown only from the end on.
      const blocked = this.#connection.flush();
      if (blocked !== undefined) await this.#unlessOver(blocked);
      if (!this.#over) this.#endBody();
    } catch (error) {
      const text = error instanceof Error ? error.message : String(error);
      const message = `the source of the message failed: ${text}`;
      this.#giveUp(chunks, new SMTPException(message, { cause: error, delivery: "not-sent" }));
    }
  }

  async #write(chunk: Uint8Array): Promise<void> {
    const { output } = this.#connection;
    for (let at = 0; at < chunk.length && !this.#over; at += PIECE) {
      output.addBytes(this.#encoder.encode(chunk.subarray(at, at + PIECE)));
      const blocked = output.length < PIECE ? undefined : this.#connection.flush();
      if (blocked !== undefined) await this.#unlessOver(blocked);
    }
  }

  /** Waits for the work, but not longer than the transfer lasts. A race with one lasting promise would leak. */
  #unlessOver<T>(work: Promise<T>): Promise<T | undefined> {
    return new Promise((resolve, reject) => {
      this.#interrupt = () => resolve(undefined);
      if (this.#over) resolve(undefined);
      work.then(resolve, reject);
    });
  }

  /** There is no other way out of DATA than the end, which must not be sent: the connection is dropped. */
  #giveUp(chunks: Chunks, error: SMTPException): void {
    chunks.cancel();
    this.#finish()?.failed(error);
    this.#connection.drop(disconnected(error.message, error.cause ?? error));
  }

  #endBody(): void {
    if (!this.#connection.writable) return;
    this.#connection.output.addBytes(this.#encoder.end());
    this.#connection.dialogue.bodySent();
    this.#endHandedOver = true;
    this.#observer.ended();
    this.#connection.flush();
  }

  /** The server has its verdict before the message is over. */
  #earlyReply(reply: Reply): void {
    const refused = reply.code >= 400;
    const text = `an answer to the message before its end: ${reply.code} ${reply.message}`;
    const end = disconnected(refused ? text : `the server broke the protocol: ${text}`);
    const error = refused
      ? new SMTPDataError(reply.code, reply.message, { delivery: "rejected", reply })
      : end.toError({ delivery: "not-sent" });
    this.#finish()?.failed(error);
    this.#connection.drop(end);
  }

  #finish(): TransferObserver | undefined {
    if (this.#over) return undefined;
    this.#over = true;
    this.#interrupt?.();
    return this.#observer;
  }
}

/** A large message in memory goes the way of a stream, for its back-pressure. */
function oneChunk(bytes: Uint8Array): Chunks {
  let rest: Uint8Array | undefined = bytes;
  return {
    async next() {
      const chunk = rest;
      rest = undefined;
      return chunk;
    },
    cancel() {},
  };
}
