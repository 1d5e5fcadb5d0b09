/** A message and its envelope as the sending methods take them, checked before anything is sent. */
import { type Body, type Content, contentOf } from "../client/source.ts";
import type { Message as PlannedMessage } from "../client/transaction.ts";
import { type Mailbox, parseMailbox } from "../core/address.ts";
import { kindOf } from "../core/bytes.ts";
import type { MailOptions, RcptOptions } from "../core/extensions/extension.ts";
import type { ReadMessage } from "../core/headers.ts";
import {
  type EightBitPolicy,
  EVERYTHING,
  type Options,
  planMessage,
  type Recipient,
  type Server,
} from "../core/plan.ts";
import { SMTPRecipientsRefused } from "../errors.ts";
import { checkObject } from "./options.ts";

/** A message for `deliver()`, with typed ESMTP parameters. */
export type DeliveryRequest = MailOptions & {
  /** The reverse path; "" for none. */
  from: string;
  /** The recipients, each with what is asked for it. */
  to: readonly (string | (RcptOptions & { address: string }))[];
  /** The message. */
  body: Body;
  /** Aborting it ends the delivery. */
  signal?: AbortSignal | undefined;
};

/** A checked message and envelope. */
export type Request = {
  readonly sender: { readonly given: string; readonly mailbox: Mailbox };
  readonly recipients: readonly Recipient[];
  readonly options: Options;
  readonly content: Content;
  readonly utf8Headers: boolean;
};

/** The envelope of `sendmail` and `send_message`. */
export type Envelope = {
  readonly from_addr: unknown;
  readonly to_addrs: unknown;
  readonly mail_options: Options | undefined;
  readonly rcpt_options: Options<RcptOptions> | undefined;
};

/**
 * Checks what `sendmail` was given.
 * @throws {TypeError} or {RangeError} naming the argument
 * @throws {SMTPRecipientsRefused} with no recipients, if there are none: Python finds out by asking the server
 */
export function requestOf(envelope: Envelope, content: Content, utf8Headers = false): Request {
  const { from_addr, to_addrs, mail_options = [], rcpt_options = [] } = envelope;
  const recipients = addressesOf(to_addrs).map((address, index) => {
    return recipientOf(address, `to_addrs[${index}]`, snapshot(rcpt_options, "rcpt_options"));
  });
  const options = snapshot(mail_options, "mail_options");
  return checked({ sender: senderOf(from_addr, "from_addr"), recipients, options, content, utf8Headers });
}

/**
 * Checks what `send_message` was given: the header says what the arguments leave open.
 * @throws as `requestOf` does
 */
export function requestOfMessage(message: ReadMessage, envelope: Envelope): Request {
  const from_addr = envelope.from_addr ?? message.sender();
  if (from_addr === undefined) throw new TypeError("from_addr is missing, and msg has neither Sender nor From");
  const to_addrs = envelope.to_addrs ?? message.recipients();
  return requestOf({ ...envelope, from_addr, to_addrs }, contentOf(message.message, "msg"), message.utf8Headers);
}

/**
 * Checks what `deliver` was given.
 * @throws as `requestOf` does
 */
export function requestOfDelivery(delivery: DeliveryRequest): Request {
  checkObject(delivery, "delivery");
  const { from, to, body, signal: _, ...options } = delivery;
  if (!Array.isArray(to)) throw new TypeError(`to must be an array, not ${kindOf(to)}`);
  const recipients = to.map((entry: unknown, index) => {
    if (typeof entry === "string") return recipientOf(entry, `to[${index}]`, []);
    const { address, ...rcptOptions }: { address?: unknown } = { ...checkObject(entry, `to[${index}]`) };
    return recipientOf(address, `to[${index}].address`, rcptOptions);
  });
  return checked({
    sender: senderOf(from, "from"),
    recipients,
    options,
    content: contentOf(body, "body"),
    utf8Headers: false,
  });
}

/** The request as this server can take it; `planMessage` tells what it throws. */
export function planRequest(request: Request, server: Server, policy: EightBitPolicy): PlannedMessage {
  const { sender, recipients, options, content, utf8Headers } = request;
  const { octets, eightBit } = content;
  const needs = { sender: sender.mailbox, recipients, options, content: { octets, eightBit, utf8Headers } };
  const plan = planMessage(needs, server, policy);
  return { plan, sender: sender.given, recipients: recipients.map(({ given }) => given), content };
}

function checked(request: Request): Request {
  planRequest(request, EVERYTHING, "send");
  if (request.recipients.length > 0) return request;
  throw new SMTPRecipientsRefused(Object.create(null), { delivery: "not-sent" });
}

function addressesOf(to: unknown): unknown[] {
  if (typeof to === "string") return [to];
  if (isIterable(to)) return [...to];
  throw new TypeError(`to_addrs must be a string or an iterable of strings, not ${kindOf(to)}`);
}

function isIterable(value: unknown): value is Iterable<unknown> {
  return typeof value === "object" && value !== null && Symbol.iterator in value;
}

function senderOf(from: unknown, argument: string): Request["sender"] {
  const mailbox = parseMailbox(from, argument);
  return { given: String(from), mailbox };
}

function recipientOf(address: unknown, argument: string, options: Options<RcptOptions>): Recipient {
  const mailbox = parseMailbox(address, argument);
  if (mailbox.path === "") throw new RangeError(`${argument} must be an address, not ${JSON.stringify(address)}`);
  return { given: String(address), mailbox, options };
}

/** The options as they are now: what the caller changes later was never checked. */
function snapshot<T extends object>(options: readonly string[] | T, argument: string): readonly string[] | T {
  if (typeof options === "object" && options !== null) return Array.isArray(options) ? [...options] : { ...options };
  throw new TypeError(`${argument} must be an array of strings or an object, not ${kindOf(options)}`);
}
