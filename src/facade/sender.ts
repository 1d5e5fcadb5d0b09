/** The sending methods that `SMTP` and `SMTPPool` share. */
import type { Body } from "../client/content.ts";
import type { Delivery } from "../client/outcome.ts";
import type { RcptOptions } from "../core/extensions/extension.ts";
import type { Options } from "../core/plan.ts";
import type { Refused } from "../core/reply.ts";
import { type Deliver, type DeliveryRequest, deliverBy, sendMessageBy, sendmailBy } from "./delivery.ts";
import type { Message } from "./message.ts";
import type { CallOptions } from "./options.ts";

/** Sends messages: Python's methods and `deliver()`. */
export abstract class Sender {
  readonly #deliver: Deliver;

  /** @param deliver - sends one checked message */
  constructor(deliver: Deliver) {
    this.#deliver = deliver;
  }

  /**
   * Sends a message: Python's `sendmail()`.
   * @param from_addr - the sender
   * @param to_addrs - one address, or an iterable of addresses
   * @param msg - the message, with its header
   * @param mail_options - ESMTP parameters of MAIL
   * @param rcpt_options - ESMTP parameters of every RCPT
   * @returns the refused recipients, each with its reply; empty if the server accepted all
   * @throws {SMTPHeloError} if the server refuses the greeting
   * @throws {SMTPSenderRefused} if it refuses the sender
   * @throws {SMTPRecipientsRefused} if it refuses all recipients
   * @throws {SMTPDataError} if it refuses the message
   * @throws {SMTPNotSupportedError} if it lacks an extension that the message needs; nothing was sent then
   * @throws {SMTPServerDisconnected} if the connection is lost; `delivery` is the outcome, which may be unknown
   * @throws {SMTPException} "not-sent" and `temporary`, if `maxQueue` messages already wait in a pool
   */
  sendmail(
    from_addr: string,
    to_addrs: string | Iterable<string>,
    msg: Body,
    mail_options?: Options,
    rcpt_options?: Options<RcptOptions>,
    call?: CallOptions,
  ): Promise<Refused> {
    return sendmailBy(this.#deliver, msg, { from_addr, to_addrs, mail_options, rcpt_options }, call);
  }

  /**
   * Sends a message without its Bcc fields: Python's `send_message()`. The sender and the recipients come from the
   * header unless they are arguments; a `Resent-` block takes precedence over the other address fields.
   * @throws the errors of `sendmail`; {RangeError} if an address field is ambiguous
   */
  send_message(
    msg: Message,
    from_addr?: string,
    to_addrs?: string | Iterable<string>,
    mail_options?: Options,
    rcpt_options?: Options<RcptOptions>,
    call?: CallOptions,
  ): Promise<Refused> {
    return sendMessageBy(this.#deliver, msg, { from_addr, to_addrs, mail_options, rcpt_options }, call);
  }

  /**
   * Sends a message and returns all replies, with the accepted and the refused recipients.
   * @throws the errors of `sendmail`
   */
  deliver(delivery: DeliveryRequest): Promise<Delivery> {
    return deliverBy(this.#deliver, delivery);
  }
}
