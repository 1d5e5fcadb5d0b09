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

/**
 * Checks what `sendmail` was given. At once, but for options and addresses that are not plainly `a@b`: what checks those
 * is loaded first.
 * @throws {TypeError} or {RangeError} naming the argument
 * @throws {SMTPRecipientsRefused} with no recipients, if there are none: Python finds out by asking the server
 */
export function requestOf(envelope: Envelope, content: Content, utf8Headers = false): Request | Promise<Request> {
  const { from_addr, to_addrs, mail_options, rcpt_options } = envelope;
  const to = listOf(to_addrs);
  if (to.length === 0) throw nobody();
  const sender = plainRecipient(from_addr);
  const recipients = to.map(plainRecipient).filter((recipient) => recipient !== undefined);
  if (sender && recipients.length === to.length && isEmpty(mail_options) && isEmpty(rcpt_options)) {
    return { from: sender.given, sender: sender.mailbox, recipients, parameters: NONE, content, utf8Headers };
  }
  const copy = { from_addr, to_addrs: to, mail_options: copyOf(mail_options), rcpt_options: copyOf(rcpt_options) };
  return envelopes(({ requestOfEnvelope }) => requestOfEnvelope(copy, content, utf8Headers));
}

/** The request as this server can take it; `planMessage` tells what it throws. */
export function planRequest(request: Request, server: Server, policy: EightBitPolicy): PlannedMessage {
  return { ...request, plan: planMessage(request, server, policy) };
}

/** The refusal of a message for nobody. */
export function nobody(): SMTPRecipientsRefused {
  return new SMTPRecipientsRefused(Object.create(null), { delivery: "not-sent" });
}

/** No parameters. */
export const NONE: EsmtpParameters = () => [];

/** What was given is the caller's again as soon as the call is made. */
export function copyOf<T>(options: T): T | object {
  if (Array.isArray(options)) return [...options];
  return typeof options === "object" && options ? { ...options } : options;
}

const envelopes = lazy(() => import("./envelope.ts"));

function isEmpty(options: unknown = []): boolean {
  return typeof options === "object" && options !== null && Object.keys(options).length === 0;
}

function listOf(to: unknown): unknown[] {
  if (typeof to === "string") return [to];
  if (isIterable(to)) return [...to];
  throw wrongType("to_addrs", "a string or an iterable of strings", to);
}

function isIterable(value: unknown): value is Iterable<unknown> {
  return typeof value === "object" && value !== null && Symbol.iterator in value;
}

function plainRecipient(given: unknown): Recipient | undefined {
  const mailbox = typeof given === "string" ? plainMailbox(given) : undefined;
  return mailbox && { given: String(given), mailbox, parameters: NONE };
}
