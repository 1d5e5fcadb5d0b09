/** A message and its envelope as the sending methods take them, checked before anything is sent. */
import { type Body, type Content, contentOf } from "../client/source.ts";
import type { Message as PlannedMessage } from "../client/transaction.ts";
import { type Mailbox, parseMailbox } from "../core/address.ts";
import { wrongType } from "../core/bytes.ts";
import type { MailOptions, RcptOptions } from "../core/extensions/extension.ts";
import {
  type EightBitPolicy,
  type EsmtpParameters,
  listedParameters,
  type Options,
  planMessage,
  type Recipient,
  type Server,
} from "../core/plan.ts";
import { SMTPRecipientsRefused } from "../errors.ts";
import { checkObject } from "./options.ts";

/** A message for `deliver()`, with typed ESMTP parameters. */
export type DeliveryRequest = Omit<MailOptions, "body"> & {
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
  readonly from: string;
  readonly sender: Mailbox;
  readonly recipients: readonly Recipient[];
  readonly parameters: EsmtpParameters;
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
 * Checks what `sendmail` was given. At once, but for typed options, whose checks are loaded first.
 * @throws {TypeError} or {RangeError} naming the argument
 * @throws {SMTPRecipientsRefused} with no recipients, if there are none: Python finds out by asking the server
 */
export function requestOf(envelope: Envelope, content: Content, utf8Headers = false): Request | Promise<Request> {
  const { mail_options = [], rcpt_options = [] } = envelope;
  const from = addressOf(envelope.from_addr, "from_addr");
  const to = listOf(envelope.to_addrs).map((address, index) => recipientOf(address, `to_addrs[${index}]`));
  const complete = (mail: EsmtpParameters, rcpt: EsmtpParameters): Request => {
    const recipients = to.map((recipient) => ({ ...recipient, parameters: rcpt }));
    return { from: from.given, sender: from.mailbox, recipients, parameters: mail, content, utf8Headers };
  };
  checkAnyone(to);
  const mail = mailParametersOf(mail_options);
  const rcpt = rcptParametersOf(rcpt_options);
  if (mail instanceof Promise || rcpt instanceof Promise)
    return Promise.all([mail, rcpt]).then((both) => complete(...both));
  return complete(mail, rcpt);
}

/**
 * Checks what `deliver` was given.
 * @throws as `requestOf` does
 */
export function requestOfDelivery(delivery: DeliveryRequest): Request | Promise<Request> {
  checkObject(delivery, "delivery");
  const { from, to, body, signal: _, ...options } = delivery;
  const { given, mailbox: sender } = addressOf(from, "from");
  if (!Array.isArray(to)) throw wrongType("to", "an array", to);
  const content = contentOf(body, "body");
  const entries = to.map(entryOf);
  checkAnyone(entries);
  const complete = (parameters: EsmtpParameters, own: readonly EsmtpParameters[]): Request => {
    const recipients = entries.map((entry, index) => ({ ...entry, parameters: own[index] ?? NONE }));
    return { from: given, sender, recipients, parameters, content, utf8Headers: false };
  };
  const all = [mailParametersOf(options), ...entries.map((entry) => rcptParametersOf(entry.options))];
  if (!all.some((parameters) => parameters instanceof Promise)) return complete(NONE, []);
  return Promise.all(all).then(([mail = NONE, ...own]) => complete(mail, own));
}

/** The request as this server can take it; `planMessage` tells what it throws. */
export function planRequest(request: Request, server: Server, policy: EightBitPolicy): PlannedMessage {
  const { from, recipients, content, utf8Headers } = request;
  const { octets, eightBit } = content;
  const plan = planMessage({ ...request, content: { octets, eightBit, utf8Headers } }, server, policy);
  return { plan, sender: from, recipients: recipients.map(({ given }) => given), content };
}

/** The parameters of MAIL that options of either form become. */
export function mailParametersOf(options: Options): EsmtpParameters | Promise<EsmtpParameters> {
  if (isList(options, "mail_options")) return listedParameters(options, "mail_options");
  const copy = { ...options };
  return isEmpty(copy) ? NONE : extensions().then(({ mailParameters }) => mailParameters(copy));
}

/** The parameters of RCPT that options of either form become. */
export function rcptParametersOf(options: Options<RcptOptions>): EsmtpParameters | Promise<EsmtpParameters> {
  if (isList(options, "rcpt_options")) return listedParameters(options, "rcpt_options");
  const copy = { ...options };
  return isEmpty(copy) ? NONE : extensions().then(({ rcptParameters }) => rcptParameters(copy));
}

const NONE: EsmtpParameters = () => [];

const extensions = (): Promise<typeof import("../core/extensions/index.ts")> => import("../core/extensions/index.ts");

function isList<T>(options: Options<T>, argument: string): options is readonly string[] {
  if (typeof options === "object" && options !== null) return Array.isArray(options);
  throw wrongType(argument, "an array of strings or an object", options);
}

function isEmpty(options: object): boolean {
  return Object.keys(options).length === 0;
}

function listOf(to: unknown): unknown[] {
  if (typeof to === "string") return [to];
  if (isIterable(to)) return [...to];
  throw wrongType("to_addrs", "a string or an iterable of strings", to);
}

function isIterable(value: unknown): value is Iterable<unknown> {
  return typeof value === "object" && value !== null && Symbol.iterator in value;
}

type Address = { readonly given: string; readonly mailbox: Mailbox };

function addressOf(address: unknown, argument: string): Address {
  const mailbox = parseMailbox(address, argument);
  return { given: String(address), mailbox };
}

function recipientOf(address: unknown, argument: string): Address {
  const recipient = addressOf(address, argument);
  if (recipient.mailbox.path !== "") return recipient;
  throw new RangeError(`${argument} must be an address, not ${JSON.stringify(address)}`);
}

function entryOf(entry: unknown, index: number): Address & { readonly options: RcptOptions } {
  if (typeof entry === "string") return { ...recipientOf(entry, `to[${index}]`), options: {} };
  const { address, ...options }: { address?: unknown } = { ...checkObject(entry, `to[${index}]`) };
  return { ...recipientOf(address, `to[${index}].address`), options };
}

function checkAnyone(recipients: readonly Address[]): void {
  if (recipients.length === 0) throw new SMTPRecipientsRefused(Object.create(null), { delivery: "not-sent" });
}
