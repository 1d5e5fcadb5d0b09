/**
 * A transport for [Upyo](https://upyo.org/), which sends through `SMTPPool`.
 *
 * @example
 * ```ts
 * import { createMessage } from "@upyo/core";
 * import { SmtplibTransport } from "smtplib/upyo";
 *
 * const transport = new SmtplibTransport({
 *   host: "mail.example.com",
 *   auth: { user: "user", password: "password" },
 * });
 * const receipt = await transport.send(
 *   createMessage({
 *     from: "ada@example.com",
 *     to: "charles@example.net",
 *     subject: "Hello",
 *     content: { text: "Hi!" },
 *   }),
 * );
 * if (!receipt.successful) console.error(receipt.errorMessages);
 * await transport.close();
 * ```
 *
 * @module
 */
import type { Message, Transport, TransportOptions } from "@upyo/core";
import { addCallers } from "../client/caller-stack.ts";
import type { Delivery } from "../client/outcome.ts";
import { showAs } from "../core/inspect.ts";
import { SMTPRecipientsRefused } from "../errors.ts";
import type { PoolOptions } from "../pool/options.ts";
import { SMTPPool } from "../pool/smtp-pool.ts";
import { inOrder, unlessAborted } from "./in-order.ts";
import { type Built, build } from "./mime.ts";

/** Upyo's receipt, and the whole answer: what `SMTPPool.deliver()` gives, or throws. */
export type SmtplibReceipt =
  | {
      readonly successful: true;
      /** The Message-ID that is in the message. */
      readonly messageId: string;
      /** Who was accepted and who refused, and the server's replies: a message for one recipient at least was taken. */
      readonly delivery: Delivery;
    }
  | {
      readonly successful: false;
      /** A text for each recipient, if it was the recipients that were refused; else one. */
      readonly errorMessages: readonly string[];
      /** What went wrong: mostly an `SMTPException`, whose `delivery` and `temporary` tell what a retry would mean. */
      readonly error: unknown;
    };

/** How many messages `sendMany()` has under way. */
const UNDER_WAY = 20;

/** The transport. */
export class SmtplibTransport implements Transport, AsyncDisposable {
  readonly #pool: SMTPPool;

  /**
   * Opens nothing yet.
   * @param given - the options of `SMTPPool`; or a URL, `smtp://user:password@host:587`, and options
   * @throws {TypeError} or {RangeError} naming the option that is wrong
   */
  constructor(...given: [options: PoolOptions] | [url: string, options?: PoolOptions]) {
    this.#pool = new SMTPPool(...given);
    showAs(this, () => ({ pool: this.#pool }));
  }

  /**
   * Sends a message. What goes wrong is in the receipt.
   * @throws the signal's reason, if the message was aborted
   */
  async send(message: Message, options: TransportOptions = {}): Promise<SmtplibReceipt> {
    return await this.#send(message, build(message), options);
  }

  /**
   * Sends messages, several at a time, and gives their receipts in their order, each as soon as it is there. The next
   * messages are asked for as the receipts are taken.
   * @throws the signal's reason, if that is aborted
   */
  sendMany(
    messages: Iterable<Message> | AsyncIterable<Message>,
    options: TransportOptions = {},
  ): AsyncIterable<SmtplibReceipt> {
    // They are built at the same time, and go to the pool in their order.
    let before: Promise<unknown> = Promise.resolve();
    const send = (message: Message): Promise<SmtplibReceipt> => {
      const built = build(message);
      const turn = before.then(() => built);
      before = turn.catch(() => {});
      return this.#send(message, turn, options);
    };
    const located = (receipt: SmtplibReceipt): void => {
      if (!receipt.successful) addCallers(receipt.error, located);
    };
    return inOrder(messages, UNDER_WAY, send, options.signal, located);
  }

  /** Takes no more messages, sends those that it has, and closes all connections. */
  close(): Promise<void> {
    return this.#pool.close();
  }

  /** `await using`: the same as `close()`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #send(message: Message, built: Promise<Built>, { signal }: TransportOptions): Promise<SmtplibReceipt> {
    try {
      const { messageId, content } = await unlessAborted(built, signal);
      const delivery = await this.#pool.deliver({
        from: message.sender.address,
        to: recipientsOf(message),
        body: { [Symbol.asyncIterator]: () => content()[Symbol.asyncIterator]() },
        signal,
      });
      return { successful: true, messageId, delivery };
    } catch (error) {
      if (signal?.aborted && error === signal.reason) throw error;
      return { successful: false, errorMessages: messagesOf(error), error };
    }
  }
}

function recipientsOf({ recipients, ccRecipients, bccRecipients }: Message): string[] {
  return [...new Set([...recipients, ...ccRecipients, ...bccRecipients].map(({ address }) => address))];
}

function messagesOf(error: unknown): string[] {
  if (error instanceof SMTPRecipientsRefused) {
    const refused = Object.entries(error.recipients).map(([address, [code, text]]) => `${address}: ${code} ${text}`);
    if (refused.length > 0) return refused;
  }
  return [error instanceof Error ? error.message : String(error)];
}
