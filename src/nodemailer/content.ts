/**
 * The content of a mail: nodemailer's stream, opened when the mail is sent, with the measurements that nodemailer
 * reports.
 */
import { type Chunks, chunkIterator, chunksOf } from "../client/chunks.ts";
import { DataEncoder } from "../core/body.ts";
import { ObservedBody } from "../core/observed-body.ts";
import type { Server } from "../core/plan.ts";
import type { Mail } from "./mail.ts";

/** The content, opened only when it is sent, so that queued mails hold no file open. */
export class MailContent extends ObservedBody implements AsyncIterable<Uint8Array> {
  /** Bytes of the message as DATA carries it, with doubled dots and the last line's dot. */
  octets = 0;
  /** The error of reading the content. */
  error: unknown;
  /** The lines of the server's answer to EHLO, without the first; undefined if there are none. */
  ehlo: string[] | undefined;
  readonly #mail: Mail;
  #begunAt = 0;
  #readAt = 0;

  constructor(mail: Mail) {
    super();
    this.#mail = mail;
  }

  override begins({ esmtp, ehlo = "" }: Server): void {
    this.#begunAt = performance.now();
    this.#readAt = this.#begunAt;
    const lines = esmtp ? ehlo.split("\n").slice(1) : [];
    const offers = lines.map((line) => line.trim()).filter((line) => line !== "");
    this.ehlo = offers.length > 0 ? offers : undefined;
  }

  /** Milliseconds: from the envelope until the server asked for the content, and from then until now. */
  get times(): { envelopeTime: number; messageTime: number } {
    return {
      envelopeTime: Math.round(this.#readAt - this.#begunAt),
      messageTime: Math.round(performance.now() - this.#readAt),
    };
  }

  /** The content in chunks; each iteration opens a new stream of nodemailer. */
  [Symbol.asyncIterator](): AsyncIterator<Uint8Array, undefined> {
    this.#readAt = performance.now();
    this.octets = 0;
    const sent = new DataEncoder();
    try {
      const chunks = chunksOf(this.#mail.message.createReadStream());
      return chunkIterator({ ...chunks, next: () => this.#counted(chunks, sent) });
    } catch (error) {
      throw this.#failed(error);
    }
  }

  async #counted(chunks: Chunks, sent: DataEncoder): Promise<Uint8Array | undefined> {
    try {
      const chunk = await chunks.next();
      this.octets += (chunk === undefined ? sent.end() : sent.encode(chunk)).length;
      return chunk;
    } catch (error) {
      throw this.#failed(error);
    }
  }

  #failed(error: unknown): unknown {
    this.error = error ?? new Error("the message could not be read");
    return error;
  }
}
