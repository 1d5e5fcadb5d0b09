/** Checks the message and envelope of the sending methods, at the call, before any byte is sent. */
import { fromCaller } from "../client/caller-errors.ts";
import { type Body, type Content, contentOf } from "../client/content.ts";
import type { MessageRequest } from "../client/delivery.ts";
import { parseMailbox } from "../core/address.ts";
import { wrongType } from "../core/bytes.ts";
import type { MailOptions, RcptOptions } from "../core/extensions/extension.ts";
import { mailParameters, rcptParameters } from "../core/extensions/index.ts";
import { listedParameters } from "../core/listed-parameters.ts";
import { isPlainPath, type Mailbox } from "../core/mailbox.ts";
import { type EnvelopeNeeds, type EsmtpParameters, noParameters, type Options, type Recipient } from "../core/plan.ts";
import { SMTPRecipientsRefused } from "../errors.ts";
import { checkObject } from "./options.ts";

/** A message for `deliver()`, with typed ESMTP parameters. */
export type DeliveryRequest = Omit<MailOptions, "body"> & {
  /** The reverse path; "" for none. */
  from: string;
  /** The recipients, each with its ESMTP parameters. */
  to: readonly (string | (RcptOptions & { address: string }))[];
  /** The message. */
  body: Body;
  /** BODY= (RFC 6152, 3030), which the options of `sendmail` call `body`. */
  bodyType?: MailOptions["body"];
  /** Aborting it ends the delivery. */
  signal?: AbortSignal | undefined;
};

/** The envelope of `sendmail` and `send_message`. */
export type Envelope = {
  readonly from_addr: unknown;
  readonly to_addrs: unknown;
  readonly mail_options: Options | undefined;
  readonly rcpt_options: Options<RcptOptions> | undefined;
};

/** The caller's address, and its parsed form. */
type Address = { readonly given: string; readonly mailbox: Mailbox };

/**
 * Checks the arguments of `sendmail`. The request keeps copies: the caller may change its objects after the call.
 * @throws {TypeError} or {RangeError} naming the argument
 * @throws {SMTPRecipientsRefused} without recipients, if the list is empty; Python asks the server instead
 */
export function requestOf(envelope: Envelope, content: Content, utf8Headers = false): MessageRequest {
  const { from_addr, to_addrs, mail_options, rcpt_options } = envelope;
  const to = typeof to_addrs === "string" ? [to_addrs] : listOf(to_addrs);
  if (to.length === 0) throw noRecipients("to_addrs is empty");
  const parameters = mailParametersOf(mail_options);
  const own = rcptParametersOf(rcpt_options);
  const hasParameters = parameters !== noParameters || own !== noParameters;
  if (!hasParameters && !utf8Headers && isPlain(from_addr) && to.every(isPlain)) {
    return { from: from_addr, to, content, needs: undefined };
  }
  const { given: from, mailbox: sender } = senderOf(from_addr, "from_addr");
  const recipients = to.map((address, index) => ({ ...recipientOf(address, `to_addrs[${index}]`), parameters: own }));
  return requestWith(from, content, { sender, recipients, parameters, utf8Headers });
}

/**
 * Checks the argument of `deliver`.
 * @throws the errors of `requestOf`
 */
export function requestOfDelivery(delivery: DeliveryRequest, content: Content): MessageRequest {
  const { from, to, body: _body, bodyType, signal: _signal, ...options } = delivery;
  const { given, mailbox: sender } = senderOf(from, "from");
  if (!Array.isArray(to)) throw wrongType("to", "an array", to);
  if (to.length === 0) throw noRecipients("to is empty");
  const parameters = mailParametersOf(bodyType === undefined ? options : { ...options, body: bodyType });
  return requestWith(given, content, { sender, recipients: to.map(entryOf), parameters, utf8Headers: false });
}

function requestWith(from: string, content: Content, needs: EnvelopeNeeds): MessageRequest {
  return { from, to: needs.recipients.map(({ given }) => given), content, needs };
}

/** The body of a `deliver` request, checked before its envelope, so that a refused call can release it. */
export function contentOfDelivery(delivery: DeliveryRequest): Content {
  return contentOf(delivery.body, "body");
}

/** Converts options of either form to parameters of MAIL. */
export function mailParametersOf(options: unknown): EsmtpParameters {
  return parametersOf(options, "mail_options", mailParameters);
}

/** Converts options of either form to parameters of RCPT. */
export function rcptParametersOf(options: unknown): EsmtpParameters {
  return parametersOf(options, "rcpt_options", rcptParameters);
}

function parametersOf(options: unknown, argument: string, check: (typed: object) => EsmtpParameters): EsmtpParameters {
  if (options === undefined) return noParameters;
  if (Array.isArray(options)) return options.length === 0 ? noParameters : listedParameters(options, argument);
  if (typeof options !== "object" || options === null)
    throw wrongType(argument, "an array of strings or an object", options);
  return Object.keys(options).length === 0 ? noParameters : check(options);
}

/** Reads a reverse path: "" for none. */
function senderOf(address: unknown, argument: string): Address {
  const mailbox = parseMailbox(address, argument);
  return { given: String(address), mailbox };
}

/** Reads a forward path, which is never null. */
function recipientOf(address: unknown, argument: string): Address {
  const recipient = senderOf(address, argument);
  if (recipient.mailbox.path !== "") return recipient;
  throw new RangeError(`${argument} must be an address, not ${JSON.stringify(address)}`);
}

function entryOf(entry: unknown, index: number): Recipient {
  if (typeof entry === "string") return { ...recipientOf(entry, `to[${index}]`), parameters: noParameters };
  const { address, ...options }: { address?: unknown } = { ...checkObject(entry, `to[${index}]`) };
  return { ...recipientOf(address, `to[${index}].address`), parameters: rcptParametersOf(options) };
}

/** The error for an empty list of recipients; Python asks the server instead. */
export function noRecipients(why: string): SMTPRecipientsRefused {
  return new SMTPRecipientsRefused(Object.create(null), { delivery: "not-sent", hint: `: ${why}` });
}

function listOf(to: unknown): unknown[] {
  if (Array.isArray(to)) return [...to];
  if (isIterable(to)) return fromCaller(() => [...to]);
  throw wrongType("to_addrs", "a string or an iterable of strings", to);
}

function isIterable(value: unknown): value is Iterable<unknown> {
  return typeof value === "object" && value !== null && Symbol.iterator in value;
}

function isPlain(address: unknown): address is string {
  return typeof address === "string" && isPlainPath(address);
}
