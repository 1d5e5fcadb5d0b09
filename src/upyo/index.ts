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
import { chunkIterator, chunksOf } from "../client/chunks.ts";
import { showAs } from "../core/inspect.ts";
import type { PoolOptions } from "../pool/options.ts";
import { SMTPPool } from "../pool/pool.ts";
import { expectFailures } from "./attachments.ts";
import { inOrder, unlessAborted } from "./in-order.ts";
import { type Built, build } from "./mime.ts";
import { failedReceipt, PROVIDER, type SmtplibReceipt, sentReceipt } from "./receipt.ts";

export type {
  FailedReceipt,
  FailureCategory,
  RejectedRecipient,
  SentReceipt,
  SmtplibReceipt,
  SmtplibReceiptError,
} from "./receipt.ts";

/** How many messages `sendMany()` sends concurrently. */
const UNDER_WAY = 20;

/** The transport. */
export class SmtplibTransport implements Transport, AsyncDisposable {
  /** The name of this transport in receipts, as `provider`. */
  readonly id: "smtplib" = PROVIDER;
  readonly #pool: SMTPPool;

  /**
   * Opens no connection.
   * @param given - the options of `SMTPPool`; or a URL, `smtp://user:password@host:587`, and options
   * @throws {TypeError} or {RangeError} naming the option that is wrong
   */
  constructor(...given: [options: PoolOptions] | [url: string, options?: PoolOptions]) {
    this.#pool = new SMTPPool(...given);
    showAs(this, () => ({ pool: this.#pool }));
  }

  /**
   * Sends a message. Failures are in the receipt.
   * @throws the signal's reason, if the message was aborted
   */
  async send(message: Message, { signal }: TransportOptions = {}): Promise<SmtplibReceipt> {
    expectFailures(message);
    signal?.throwIfAborted();
    // Awaited, so that a failure's stack shows the caller.
    return await this.#send(message, build(message, signal), signal);
  }

  /**
   * Sends messages, several at a time, and yields their receipts in order, each as soon as it is ready. Asks for the
   * next messages as receipts are consumed. If the caller stops before the last receipt, it aborts the messages in
   * progress and asks for no more.
   * @throws the signal's reason, if it is aborted; the error of `messages`, after the receipts of the messages before it
   */
  sendMany(
    messages: Iterable<Message> | AsyncIterable<Message>,
    { signal }: TransportOptions = {},
  ): AsyncIterable<SmtplibReceipt> {
    // The other messages of an array exist already, even if their turn never comes.
    if (Array.isArray(messages)) messages.forEach(expectFailures);
    // Messages are built concurrently, and passed to the pool in order.
    let before: Promise<unknown> = Promise.resolve();
    const run = (message: Message, own: AbortSignal): Promise<SmtplibReceipt> => {
      expectFailures(message);
      const built = build(message, own);
      // It may fail before its turn comes.
      built.catch(() => {});
      const turn = before.then(() => built);
      before = turn.catch(() => {});
      return this.#send(message, turn, own);
    };
    const taken = (receipt: SmtplibReceipt): void => {
      if (!receipt.successful) addCallers(receipt.error, taken);
    };
    return inOrder(messages, { most: UNDER_WAY, run, discard: expectFailures, signal, taken });
  }

  /**
   * Checks whether mail can be sent: connects, encrypts and logs in, on a separate connection (`VerifiableTransport` of
   * Upyo 0.6).
   * @throws {SMTPException} if connecting or logging in fails; the signal's reason
   */
  verify({ signal }: TransportOptions = {}): Promise<void> {
    return this.#pool.check({ signal });
  }

  /** Accepts no more messages, sends those it has, and closes all connections. */
  close(): Promise<void> {
    return this.#pool.close();
  }

  /** `await using`: the same as `close()`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #send(message: Message, built: Promise<Built>, signal: AbortSignal | undefined): Promise<SmtplibReceipt> {
    try {
      const { messageId, smtputf8, content } = await unlessAborted(built, signal);
      const delivery = await this.#pool.deliver({
        from: message.sender.address,
        to: recipientsOf(message),
        body: { [Symbol.asyncIterator]: () => chunkIterator(chunksOf(content())) },
        ...(smtputf8 ? { smtputf8 } : {}),
        signal,
      });
      return sentReceipt(messageId, delivery);
    } catch (error) {
      if (signal?.aborted && error === signal.reason) throw error;
      return failedReceipt(error);
    }
  }
}

function recipientsOf({ recipients, ccRecipients, bccRecipients }: Message): string[] {
  return [...new Set([...recipients, ...ccRecipients, ...bccRecipients].map(({ address }) => address))];
}
