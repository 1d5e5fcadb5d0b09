/** A message and its envelope as the sending methods take them, checked before anything is sent. */
import { lazy } from "../client/lazy.ts";
import type { Body, Content } from "../client/source.ts";
import type { Message as PlannedMessage } from "../client/transaction.ts";
import { wrongType } from "../core/bytes.ts";
import type { MailOptions, RcptOptions } from "../core/extensions/extension.ts";
import { type Mailbox, plainMailbox } from "../core/mailbox.ts";
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

/** A message for `deliver()`, with typed ESMTP parameters. */
export type DeliveryRequest = Omit<MailOptions, "body"> & {
  /** The reverse path; "" for none. */
  from: string;
  /** The recipients, each with what is asked for it. */
  to: readonly (string | (RcptOptions & { address: string }))[];
  /** The message. */
  body: Body;
  /** BODY= (RFC 6152, 3030), which is `body` among the options of `sendmail`. */
  bodyType?: MailOptions["body"];
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

/** An address as it was given, and as it was read. */
export type Address = { readonly given: string; readonly mailbox: Mailbox };

/** The addresses of an envelope. */
export type Addresses = { readonly sender: Address; readonly recipients: readonly Address[] };

/**
 * Checks what `sendmail` was given. At once, but for typed options and addresses that are not plainly `a@b`: what checks
 * those is loaded first.
 * @throws {TypeError} or {RangeError} naming the argument
 * @throws {SMTPRecipientsRefused} with no recipients, if there are none: Python finds out by asking the server
 */
export function requestOf(envelope: Envelope, content: Content, utf8Headers = false): Request | Promise<Request> {
  const { from_addr, to_addrs, mail_options = [], rcpt_options = [] } = envelope;
  const nameOf = (index?: number): string => (index === undefined ? "from_addr" : `to_addrs[${index}]`);
  const addresses = addressesOf(from_addr, listOf(to_addrs), nameOf);
  const asked = [mailParametersOf(mail_options), rcptParametersOf(rcpt_options)];
  return whenReady(addresses, asked, ({ sender, recipients }, [parameters = NONE, own = NONE]) => ({
    from: sender.given,
    sender: sender.mailbox,
    recipients: recipients.map((recipient) => ({ ...recipient, parameters: own })),
    parameters,
    content,
    utf8Headers,
  }));
}

/** Uses addresses and parameters as soon as they are there: at once, unless what checks them is yet to be loaded. */
export function whenReady(
  addresses: Addresses | Promise<Addresses>,
  parameters: readonly (EsmtpParameters | Promise<EsmtpParameters>)[],
  use: (addresses: Addresses, parameters: readonly EsmtpParameters[]) => Request,
): Request | Promise<Request> {
  const ready = parameters.filter((one) => typeof one === "function");
  if (!(addresses instanceof Promise) && ready.length === parameters.length) return use(addresses, ready);
  return Promise.all([addresses, Promise.all(parameters)]).then((all) => use(...all));
}

/**
 * The addresses of an envelope; `nameOf` names the one that is none, the sender without an index.
 * @throws as `requestOf` does
 */
export function addressesOf(
  from: unknown,
  to: readonly unknown[],
  nameOf: (index?: number) => string,
): Addresses | Promise<Addresses> {
  if (to.length === 0) throw new SMTPRecipientsRefused(Object.create(null), { delivery: "not-sent" });
  const sender = plainAddress(from);
  const recipients = to.map(plainAddress).filter((address) => address !== undefined);
  if (sender !== undefined && recipients.length === to.length) return { sender, recipients };
  return reading(({ readAddresses }) => readAddresses(from, to, nameOf));
}

/** The request as this server can take it; `planMessage` tells what it throws. */
export function planRequest(request: Request, server: Server, policy: EightBitPolicy): PlannedMessage {
  const { from, recipients, content, utf8Headers } = request;
  const { octets, eightBit, bytes } = content;
  const needs = { octets, rawOctets: bytes?.length, eightBit, utf8Headers };
  const plan = planMessage({ ...request, content: needs }, server, policy);
  return { plan, sender: from, recipients: recipients.map(({ given }) => given), content };
}

/** The parameters of MAIL that options of either form become. */
export function mailParametersOf(options: Options): EsmtpParameters | Promise<EsmtpParameters> {
  return parametersOf(options, "mail_options", (typed) => extensions(({ mailParameters }) => mailParameters(typed)));
}

/** The parameters of RCPT that options of either form become. */
export function rcptParametersOf(options: Options<RcptOptions>): EsmtpParameters | Promise<EsmtpParameters> {
  return parametersOf(options, "rcpt_options", (typed) => extensions(({ rcptParameters }) => rcptParameters(typed)));
}

/** No parameters. */
export const NONE: EsmtpParameters = () => [];

const extensions = lazy(() => import("../core/extensions/index.ts"));
const reading = lazy(() => import("./addresses.ts"));

function parametersOf<T extends object>(
  options: Options<T>,
  argument: string,
  check: (typed: T) => EsmtpParameters | Promise<EsmtpParameters>,
): EsmtpParameters | Promise<EsmtpParameters> {
  if (isList(options)) return listedParameters(options, argument);
  if (typeof options !== "object" || options === null)
    throw wrongType(argument, "an array of strings or an object", options);
  const copy = { ...options };
  return Object.keys(copy).length === 0 ? NONE : check(copy);
}

function isList(options: Options<object>): options is readonly string[] {
  return Array.isArray(options);
}

function listOf(to: unknown): unknown[] {
  if (typeof to === "string") return [to];
  if (isIterable(to)) return [...to];
  throw wrongType("to_addrs", "a string or an iterable of strings", to);
}

function isIterable(value: unknown): value is Iterable<unknown> {
  return typeof value === "object" && value !== null && Symbol.iterator in value;
}

function plainAddress(given: unknown): Address | undefined {
  const mailbox = typeof given === "string" ? plainMailbox(given) : undefined;
  return mailbox && { given: String(given), mailbox };
}
