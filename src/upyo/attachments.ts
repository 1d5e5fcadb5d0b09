/** Attachments of Upyo's messages; since Upyo 0.6 their content may also be a `Blob` or a function. */
import type { Attachment, Message } from "@upyo/core";

/** An attachment for nodemailer's MailComposer. */
export type ComposedAttachment = {
  readonly filename: string;
  readonly content: unknown;
  readonly contentType: string;
  readonly contentDisposition: "inline" | "attachment";
  readonly cid: string | undefined;
};

/**
 * Marks the rejections of attachments that are promises as handled, since `send()` reports them. Called as soon as a
 * message is passed, since its attachments may be read much later or never.
 */
export function expectFailures(message: Message): void {
  // `build()` reports an invalid message.
  const attachments: unknown = Object(message).attachments;
  if (!Array.isArray(attachments)) return;
  for (const attachment of attachments) {
    const content: unknown = Object(attachment).content;
    // Promises of another realm, such as that of Jest, are not instances of this one's `Promise`.
    if (typeof Object(content).then === "function") Promise.resolve(content).catch(() => {});
  }
}

/**
 * Reads all attachments at the same time.
 * @throws the error of the first one that fails; {TypeError} if a content is of an unknown kind
 */
export function readAttachments(
  { attachments }: Message,
  signal: AbortSignal | undefined,
): Promise<ComposedAttachment[]> {
  return Promise.all(attachments.map((attachment) => composed(attachment, signal)));
}

async function composed(attachment: Attachment, signal: AbortSignal | undefined): Promise<ComposedAttachment> {
  const { inline, filename, contentType, contentId } = attachment;
  const content = await contentOf(attachment, signal);
  const contentDisposition = inline ? "inline" : "attachment";
  return { filename, content, contentType, contentDisposition, cid: inline ? contentId : undefined };
}

async function contentOf(attachment: Attachment, signal: AbortSignal | undefined): Promise<Uint8Array | string> {
  // The type of Upyo 0.5 has only arrays and promises.
  const given: unknown = attachment.content;
  const content: unknown = await (typeof given === "function" ? given(signal) : given);
  if (typeof content === "string") return content;
  const bytes = bytesOf(content);
  if (bytes !== undefined) return bytes;
  if (content instanceof Blob) return new Uint8Array(await content.arrayBuffer());
  if (isAsyncIterable(content)) return collected(content, attachment, signal);
  throw new TypeError(`attachments: ${JSON.stringify(attachment.filename)} has a content of an unknown kind`);
}

async function collected(
  source: AsyncIterable<unknown>,
  { filename }: Attachment,
  signal: AbortSignal | undefined,
): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of source) {
    signal?.throwIfAborted();
    const bytes = bytesOf(chunk);
    if (bytes === undefined) {
      throw new TypeError(`attachments: ${JSON.stringify(filename)} yields something else than a Uint8Array`);
    }
    // The source may reuse the memory.
    chunks.push(new Uint8Array(bytes));
    length += bytes.length;
  }
  const whole = new Uint8Array(length);
  let offset = 0;
  for (const chunk of chunks) {
    whole.set(chunk, offset);
    offset += chunk.length;
  }
  return whole;
}

function bytesOf(value: unknown): Uint8Array | undefined {
  return ArrayBuffer.isView(value) ? new Uint8Array(value.buffer, value.byteOffset, value.byteLength) : undefined;
}

function isAsyncIterable(value: unknown): value is AsyncIterable<unknown> {
  return typeof value === "object" && value !== null && Symbol.asyncIterator in value;
}
