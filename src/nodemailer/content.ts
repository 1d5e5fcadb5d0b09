/** A mail's content on its way: what nodemailer makes of the mail, read when it is sent, and measured as nodemailer does. */
import { DataEncoder } from "../core/body.ts";
import { concat } from "../core/bytes.ts";
import { ObservedBody } from "../core/observed-body.ts";
import type { Server } from "../core/plan.ts";
import type { Mail } from "./mail.ts";

/** nodemailer's streams come in small chunks: they are joined, since each piece is a write. */
const PIECE = 65_536;

/** The content, opened when it is sent: a queue of thousands of mails holds no file open. */
export class MailContent extends ObservedBody implements AsyncIterable<Uint8Array> {
  /** Bytes of the message as DATA carries it, with doubled dots and the last line's dot. */
  octets = 0;
  /** What went wrong with the reading. */
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

  /** The content in pieces; each reading begins a stream of nodemailer's. */
  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    this.#readAt = performance.now();
    try {
      yield* this.#pieces();
    } catch (error) {
      this.error = error ?? new Error("the message could not be read");
      throw error;
    }
  }

  async *#pieces(): AsyncGenerator<Uint8Array> {
    const text = new TextEncoder();
    const sent = new DataEncoder();
    let held: Uint8Array[] = [];
    let octets = 0;
    for await (const chunk of this.#mail.message.createReadStream()) {
      const bytes = typeof chunk === "string" ? text.encode(chunk) : chunk;
      held.push(bytes);
      octets += bytes.length;
      this.octets += sent.encode(bytes).length;
      if (octets < PIECE) continue;
      yield concat(held);
      [held, octets] = [[], 0];
    }
    this.octets += sent.end().length;
    if (octets > 0) yield concat(held);
  }
}
