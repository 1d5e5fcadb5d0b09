/** A message as it stands in a queue: plain values of JSON, under a version. */
import { contentOf } from "../client/content.ts";
import { aLabel } from "../core/a-label.ts";
import { concat, utf8, wrongType } from "../core/bytes.ts";
import type { MailOptions, RcptOptions } from "../core/extensions/extension.ts";
import type { Mailbox } from "../core/mailbox.ts";
import { requestOfDelivery } from "../facade/envelope.ts";
import { checkObject } from "../facade/options.ts";
import type { StoredBody } from "./body-store.ts";
import { field } from "./error-fields.ts";
import { mailboxIn } from "./mailbox-in.ts";
import type { StoredRefused, StoredReply } from "./stored-reply.ts";

/** The options of MAIL that a queue can keep: without moments, which the queue's own `deliverAt` is for. */
export type EnvelopeOptions = Omit<MailOptions, "body" | "size" | "holdFor" | "holdUntil">;

/** The options of a recipient that a queue can keep. */
export type QueuedRecipient = Omit<RcptOptions, "rrvs"> & { readonly address: string };

/** The sender and the recipients, with the options of each. */
export type OutboxEnvelope = EnvelopeOptions & {
  /** The reverse path; "" for none. */
  readonly from: string;
  readonly to: readonly (string | QueuedRecipient)[];
};

/** The version of `OutboxMessage` that this package writes, and the newest that it reads. */
export const VERSION = 1;

/** A message in a queue. Times are in milliseconds since 1970. */
export type OutboxMessage = {
  readonly version: 1;
  /** Its name in the queue, and of its tickets. */
  readonly id: string;
  /** Distinguishes it from earlier messages with the same key, whose tickets may still be there. */
  readonly nonce?: string | undefined;
  /** In angle brackets, if the message has it so; the same in all attempts. */
  readonly messageId: string;
  readonly from: string;
  readonly to: readonly QueuedRecipient[];
  readonly options: EnvelopeOptions;
  readonly body: StoredBody;
  /** Octets of the body. */
  readonly octets: number;
  readonly destination: string;
  readonly tenant: string | undefined;
  /** From 0, which goes first, to 1,000; absent: 0. */
  readonly priority?: number;
  readonly queuedAt: number;
  readonly expiresAt: number;
  readonly state: MessageState;
};

/** The results of all attempts so far. */
export type MessageState = {
  /** Attempts that reached a server or tried to. */
  readonly attempts: number;
  /** How many transactions the server took for some of the recipients. Each has a ticket of its own. */
  readonly round: number;
  /** The recipients that are left; undefined: all. */
  readonly left: readonly string[] | undefined;
  /** Recipients that nobody will try again, each with its reply. */
  readonly failed: StoredRefused;
  /** How many of them, from the first on, the sender was told of. */
  readonly told: number;
  /** The last reply to each recipient that was put off. */
  readonly putOff: StoredRefused;
  /** How often it was a dead letter that was sent again. */
  readonly redrives: number;
  /** Set once nothing more will be sent: whether anybody got it. */
  readonly over: "done" | "give-up" | undefined;
  /** Why it was given up, once it was. */
  readonly why: string | undefined;
  /** Set while the outcome is unknown. */
  readonly held: HeldState | undefined;
  /** The budgets that the message has paid already: it does not pay twice. */
  readonly paid: readonly string[];
  /** How many times in a row a budget had no room. */
  readonly deferred: number;
  /** The last reply that refused the message as a whole. */
  readonly last: StoredReply | undefined;
};

/** Why a message is held. */
export type HeldState = {
  readonly reason: "in-flight" | "lost";
  readonly since: number;
  /** How often its ticket was looked at since. */
  readonly checks: number;
};

/** The state of a message before its first attempt. */
export const FRESH: MessageState = {
  attempts: 0,
  round: 0,
  left: undefined,
  failed: [],
  told: 0,
  putOff: [],
  redrives: 0,
  over: undefined,
  why: undefined,
  held: undefined,
  paid: [],
  deferred: 0,
  last: undefined,
};

/** The job was written by another version of this package, or by another program. It stays in the queue. */
export class UnknownMessageError extends Error {
  override readonly name: string = "UnknownMessageError";
}

/**
 * Reads what a queue gives.
 * @throws {UnknownMessageError} if it is not of this version
 */
export function readMessage(data: unknown): OutboxMessage {
  const version = field(data, "version", "number");
  if (version === undefined) throw new UnknownMessageError("the job is no message of an outbox");
  if (version !== VERSION) {
    throw new UnknownMessageError(`the job has version ${version}, and this package reads version ${VERSION}`);
  }
  if (!isMessage(data)) throw new UnknownMessageError("the job is no whole message of an outbox");
  return { ...data, state: { ...FRESH, ...data.state } };
}

function isMessage(data: unknown): data is OutboxMessage {
  const texts = ["id", "messageId", "from", "destination"].every((name) => field(data, name, "string") !== undefined);
  const numbers = ["octets", "queuedAt", "expiresAt"].every((name) => field(data, name, "number") !== undefined);
  const objects = ["to", "options", "body", "state"].every((name) => field(data, name, "object") !== undefined);
  return texts && numbers && objects;
}

/** The ticket of the transaction that comes next. */
export function ticketKey({ id, nonce, state }: OutboxMessage): string {
  return nonce === undefined ? `${id}:${state.round}` : `${id}:${nonce}:${state.round}`;
}

/** The recipients that were given up and that no report has named yet. */
export function untold({ failed, told }: MessageState): StoredRefused {
  return failed.slice(told);
}

/** The recipients of the next transaction. */
export function recipientsLeft({ to, state }: OutboxMessage): readonly QueuedRecipient[] {
  if (state.left === undefined) return to;
  const left = new Set(state.left);
  return to.filter(({ address }) => left.has(address));
}

/** The message without recipients that have it. */
export function without(message: OutboxMessage, accepted: readonly string[]): OutboxMessage {
  if (accepted.length === 0) return message;
  const have = new Set(accepted);
  const left = recipientsLeft(message).flatMap(({ address }) => (have.has(address) ? [] : [address]));
  return { ...message, state: { ...message.state, left } };
}

/** An envelope, checked, apart from its options. */
export type CheckedEnvelope = {
  readonly from: string;
  readonly to: readonly QueuedRecipient[];
  readonly options: EnvelopeOptions;
};

/**
 * Checks an envelope as `deliver()` does, and copies it.
 * @throws {TypeError} or {RangeError} naming the argument
 * @throws {SMTPRecipientsRefused} with no recipients, if there are none
 */
export function checkEnvelope(envelope: OutboxEnvelope, body: Uint8Array): CheckedEnvelope {
  checkObject(envelope, "envelope");
  for (const name of ["body", "size", "holdFor", "holdUntil", "signal"]) {
    if (name in envelope) throw new TypeError(`envelope.${name} cannot be queued`);
  }
  const { from, to, ...options } = envelope;
  requestOfDelivery({ ...options, from, to, body }, contentOf(body, "body"));
  for (const one of to) {
    if (typeof one !== "string" && "rrvs" in one) throw new TypeError("to[].rrvs cannot be queued");
  }
  // The same mailbox twice, in one spelling or two, would get a second copy when it was put off once.
  const recipients = new Map<string, QueuedRecipient>();
  for (const one of to) {
    const recipient = typeof one === "string" ? { address: one } : { ...one };
    const spelling = spellingOf(recipient.address);
    if (!recipients.has(spelling)) recipients.set(spelling, recipient);
  }
  return { from, to: [...recipients.values()], options: structuredClone(options) };
}

/** The mailbox of an address, without a name and angle brackets: the domain's case means nothing, that of the rest may. */
export function mailboxOf(address: string): string {
  const mailbox = mailboxIn(address);
  return mailbox === undefined ? address : lowerCased(mailbox);
}

/** The same text for each spelling of a mailbox: also for a domain in A-labels, and a local part in needless quotes. */
function spellingOf(address: string): string {
  const mailbox = mailboxIn(address);
  if (mailbox === undefined) return address;
  return lowerCased(aLabel(mailbox) ?? mailbox).replace(/^"([\w+-]+(?:\.[\w+-]+)*)"@/, "$1@");
}

function lowerCased({ path, domain = "" }: Mailbox): string {
  return `${path.slice(0, path.length - domain.length)}${domain.toLowerCase()}`;
}

/** The Message-ID of a message's header. The field may be folded, and some programs leave out the brackets. */
const MESSAGE_ID = /^message-id[ \t]*:(?:[ \t]|\r?\n[ \t])*(<[^<>\s]+>|[^<>\s]+)/im;

/**
 * The body with a Message-ID, its own or a new one in front, so that each attempt sends the same.
 * @throws {TypeError} if the body is neither a string nor a Uint8Array
 */
export function identified(body: unknown, from: string): { readonly octets: Uint8Array; readonly messageId: string } {
  const octets = typeof body === "string" ? utf8(body) : body;
  if (!(octets instanceof Uint8Array)) throw wrongType("body", "a string or a Uint8Array", body);
  const found = MESSAGE_ID.exec(headerOf(octets))?.[1];
  // A copy: the caller may use its memory again before the message is queued.
  if (found !== undefined) return { octets: octets.slice(), messageId: found };
  const domain = /@([A-Za-z0-9.-]+)>?$/.exec(from)?.[1] ?? "localhost";
  const messageId = `<${crypto.randomUUID()}@${domain}>`;
  return { octets: concat([utf8(`Message-ID: ${messageId}\r\n`), octets]), messageId };
}

/** The most octets of a header that are looked through. */
const LONGEST_HEADER = 262_144;

/** The header of a message, as text. */
export function headerOf(message: Uint8Array): string {
  const start = new TextDecoder().decode(message.subarray(0, LONGEST_HEADER));
  const end = /(?:^|\r?\n)\r?\n/.exec(start);
  return end === null ? start : start.slice(0, end.index);
}
