/** A message and its envelope as the sending methods take them, checked before anything is sent. */
import { lazy } from "../client/lazy.ts";
import type { Delivery } from "../client/outcome.ts";
import { type Body, type Content, contentOf, discard } from "../client/source.ts";
import type { Message as PlannedMessage } from "../client/transaction.ts";
import { wrongType } from "../core/bytes.ts";
import type { MailOptions, RcptOptions } from "../core/extensions/extension.ts";
import { isPlainPath, type Path } from "../core/mailbox.ts";
import {
  type EightBitPolicy,
  type EsmtpParameters,
  type Options,
  planMessage,
  type Recipient,
  type Server,
} from "../core/plan.ts";
import type { Refused } from "../core/reply.ts";
import { SMTPRecipientsRefused } from "../errors.ts";
import { type CallOptions, callSignal } from "./options.ts";

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
  readonly sender: Path;
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
  if (isPlain(from_addr) && to.every(isPlain) && isEmpty(mail_options) && isEmpty(rcpt_options)) {
    const sender = { path: from_addr, ascii: true };
    return { from: from_addr, sender, recipients: to.map(plainRecipient), parameters: NONE, content, utf8Headers };
  }
  const copy = { from_addr, to_addrs: to, mail_options: copyOf(mail_options), rcpt_options: copyOf(rcpt_options) };
  return envelopes(({ requestOfEnvelope }) => requestOfEnvelope(copy, content, utf8Headers));
}

/** Who delivers a request: a session, or a pool of them. */
export type Deliver = (request: Request | Promise<Request>, signal: AbortSignal | undefined) => Promise<Delivery>;

/**
 * Python's `sendmail()`, by whoever delivers. Nothing is awaited: of thousands that queue, each leaves as little as
 * possible behind for the garbage collector.
 */
export function sendmailBy(
  deliver: Deliver,
  msg: Body,
  envelope: Envelope,
  call: CallOptions | undefined,
): Promise<Refused> {
  let content: Content | undefined;
  try {
    content = contentOf(msg, "msg");
    return givingBack({ content }, deliver(requestOf(envelope, content), callSignal(call)).then(refusedOf));
  } catch (error) {
    return givingBack({ content }, Promise.reject(error));
  }
}

/** The outcome; a body that nobody began to read is given back before a failure is told, or as soon as it is there. */
export function givingBack<T>(request: HasContent | Promise<HasContent>, outcome: Promise<T>): Promise<T> {
  if (request instanceof Promise) {
    request.then((ready) => givingBack(ready, outcome)).catch(() => {});
    return outcome;
  }
  const { content } = request;
  if (!content || content.bytes) return outcome;
  return outcome.catch((error) => discard(content).then(() => Promise.reject(error)));
}

type HasContent = { readonly content: Content | undefined };

const refusedOf = ({ refused }: Delivery): Refused => refused;

/** The request as this server can take it; `planMessage` tells what it throws. */
export function planRequest(request: Request, server: Server, policy: EightBitPolicy = "refuse"): PlannedMessage {
  const { from, recipients, content } = request;
  return { from, recipients, content, plan: planMessage(request, server, policy) };
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

function isEmpty(options: unknown): boolean {
  if (options === undefined) return true;
  return typeof options === "object" && options !== null && Object.keys(options).length === 0;
}

function listOf(to: unknown): unknown[] {
  if (typeof to === "string") return [to];
  if (Array.isArray(to) || isIterable(to)) return [...to];
  throw wrongType("to_addrs", "a string or an iterable of strings", to);
}

function isIterable(value: unknown): value is Iterable<unknown> {
  return typeof value === "object" && value !== null && Symbol.iterator in value;
}

function isPlain(address: unknown): address is string {
  return typeof address === "string" && isPlainPath(address);
}

function plainRecipient(given: string): Recipient {
  return { given, mailbox: { path: given, ascii: true }, parameters: NONE };
}
