/** A message of Upyo's -> RFC 5322, by nodemailer's MailComposer: MIME is made by who knows how. */
import type { Address, Attachment, Message } from "@upyo/core";

/** A message that was built. */
export type Built = {
  /** The Message-ID that is in it. */
  readonly messageId: string;
  /** Its content, built while it is read. */
  readonly content: () => AsyncIterable<Uint8Array>;
};

/**
 * Builds a message. Attachments that are promises are awaited. `tags` and `idempotencyKey` are for mail services: SMTP has
 * nothing like them.
 * @throws {Error} if nodemailer is not installed
 */
export async function build(message: Message): Promise<Built> {
  const MailComposer = await composer();
  const attachments = await Promise.all(message.attachments.map(attached));
  const { content } = message;
  const node = new MailComposer({
    from: named(message.sender),
    to: message.recipients.map(named),
    cc: message.ccRecipients.map(named),
    replyTo: message.replyRecipients.map(named),
    subject: message.subject,
    text: content.text,
    html: "html" in content ? content.html : undefined,
    attachments,
    headers: [...message.headers].map(([key, value]) => ({ key, value })).concat(PRIORITY[message.priority]),
    disableFileAccess: true,
    disableUrlAccess: true,
  }).compile();
  return { messageId: node.messageId(), content: () => node.createReadStream() };
}

type Composer = new (
  options: object,
) => {
  compile(): { messageId(): string; createReadStream(): AsyncIterable<Uint8Array> };
};

async function composer(): Promise<Composer> {
  try {
    const module: { default: Composer } = await import("nodemailer/lib/mail-composer/index.js");
    return module.default;
  } catch (cause) {
    throw new Error("smtplib/upyo builds messages by nodemailer's MailComposer: npm install nodemailer", { cause });
  }
}

function named({ name, address }: Address): { name: string; address: string } {
  return { name: name ?? "", address };
}

async function attached({ inline, filename, content, contentType, contentId }: Attachment): Promise<object> {
  const contentDisposition = inline ? "inline" : "attachment";
  return { filename, content: await content, contentType, cid: inline ? contentId : undefined, contentDisposition };
}

type Header = { readonly key: string; readonly value: string };

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
