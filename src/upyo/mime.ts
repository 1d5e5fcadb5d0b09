/** Turns a message of Upyo into RFC 5322, with nodemailer's MailComposer. */
import type { Address, Message } from "@upyo/core";
import { hex } from "../core/bytes.ts";
import { mailDate } from "../core/mail-date.ts";
import { readAttachments } from "./attachments.ts";

/** A built message. */
export type Built = {
  /** Its Message-ID, in angle brackets. */
  readonly messageId: string;
  /** True if its header has addresses that only SMTPUTF8 can carry (RFC 6531 3.2). */
  readonly smtputf8: boolean;
  /** Its content, built while it is read. */
  readonly content: () => AsyncIterable<Uint8Array>;
};

/** The fields that messages have since Upyo 0.6. */
type Later = {
  readonly messageId?: string | undefined;
  readonly date?: Date | undefined;
  readonly inReplyTo?: readonly string[] | undefined;
  readonly references?: readonly string[] | undefined;
  readonly calendar?: { readonly method: string; readonly content: string } | undefined;
};

/**
 * Builds a message. Reads its attachments. `tags` are for mail services: SMTP has nothing like them.
 * @throws {Error} if nodemailer is not installed; the errors of the attachments
 */
export async function build(message: Message & Later, signal: AbortSignal | undefined): Promise<Built> {
  const [MailComposer, attachments] = await Promise.all([composer(), readAttachments(message, signal)]);
  const { content } = message;
  const node = new MailComposer({
    from: named(message.sender),
    to: message.recipients.map(named),
    cc: message.ccRecipients.map(named),
    replyTo: message.replyRecipients.map(named),
    subject: message.subject,
    text: textOf(content.text),
    html: "html" in content ? textOf(content.html) : undefined,
    alternatives: alternativesOf(message),
    attachments,
    headers: headersOf(message),
    messageId: message.messageId,
    date: dateOf(message),
    disableFileAccess: true,
    disableUrlAccess: true,
  }).compile();
  const messageId = await identify(node, message);
  return { messageId, smtputf8: needsUtf8(message), content: () => node.createReadStream() };
}

type Composed = {
  messageId(): string;
  setHeader(key: string, value: string): unknown;
  createReadStream(): AsyncIterable<Uint8Array>;
};
type Composer = new (options: object) => { compile(): Composed };

async function composer(): Promise<Composer> {
  try {
    const module: { default: Composer } = await import("nodemailer/lib/mail-composer/index.js");
    return module.default;
  } catch (cause) {
    throw new Error("smtplib/upyo builds messages by nodemailer's MailComposer: npm install nodemailer", { cause });
  }
}

/**
 * The Message-ID: the message's own, else one made from its `idempotencyKey`, so that each attempt to send the message
 * has the same and receivers can recognize a duplicate; else a new one.
 */
async function identify(node: Composed, message: Message & Later): Promise<string> {
  const { idempotencyKey, sender } = message;
  const messageId = bracketed(node.messageId());
  if (!idempotencyKey || message.messageId !== undefined || message.headers.has("message-id")) return messageId;
  const text = new TextEncoder().encode(`${sender.address}\n${idempotencyKey}`);
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", text));
  const left = hex(hash.subarray(0, 16));
  const stable = `<${left}${messageId.slice(messageId.lastIndexOf("@"))}`;
  node.setHeader("Message-ID", stable);
  return stable;
}

function named({ name, address }: Address): { name: string; address: string } {
  return { name: name ?? "", address };
}

/** An empty text becomes a part as well: MailComposer leaves out falsy values. */
function textOf(text: string | undefined): string | Uint8Array | undefined {
  return text === "" ? new Uint8Array() : text;
}

function dateOf({ date }: Later): string | undefined {
  if (date === undefined) return undefined;
  if (Number.isNaN(date.getTime())) throw new RangeError("date: an invalid date");
  return mailDate(date);
}

function alternativesOf({ calendar }: Later): object[] {
  if (calendar === undefined) return [];
  const contentType = `text/calendar; charset=utf-8; method=${calendar.method}`;
  return [{ contentType, content: calendar.content, contentTransferEncoding: "base64" }];
}

type Header = { readonly key: string; readonly value: string };

/** Fields that the message or its structure determines: a header of that name is ignored. */
const OWN: readonly string[] = [
  ...["from", "to", "cc", "bcc", "reply-to", "subject"],
  ...["mime-version", "content-type", "content-transfer-encoding"],
];

function headersOf(message: Message & Later): Header[] {
  const priority = PRIORITY[message.priority];
  const ids = { "In-Reply-To": message.inReplyTo, References: message.references };
  const threading = Object.entries(ids).flatMap(([key, given]) =>
    given ? [{ key, value: given.map(bracketed) }] : [],
  );
  const own = new Set([...OWN, ...[...priority, ...threading].map(({ key }) => key.toLowerCase())]);
  const custom = [...message.headers].map(([key, value]) => ({ key, value }));
  return [
    ...custom.filter(({ key }) => !own.has(key.toLowerCase())),
    ...threading.flatMap(({ key, value }) => (value.length > 0 ? [{ key, value: value.join(" ") }] : [])),
    ...priority,
  ];
}

function bracketed(id: string): string {
  return id.startsWith("<") ? id : `<${id}>`;
}

const PRIORITY: { readonly [priority in Message["priority"]]: readonly Header[] } = {
  high: priority("1 (Highest)", "High"),
  normal: [],
  low: priority("5 (Lowest)", "Low"),
};

function priority(number: string, word: string): Header[] {
  return [
    { key: "X-Priority", value: number },
    { key: "X-MSMail-Priority", value: word },
    { key: "Importance", value: word },
  ];
}

function needsUtf8({ sender, recipients, ccRecipients, replyRecipients }: Message): boolean {
  const shown = [sender, ...recipients, ...ccRecipients, ...replyRecipients];
  return shown.some(({ address }) => /[^\x00-\x7f]/.test(address.slice(0, address.lastIndexOf("@"))));
}
