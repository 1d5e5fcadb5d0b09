/** Attachments of Upyo's messages: in its version 0.6 their content may be a `Blob` or a function, too. */
import type { Attachment, Message } from "@upyo/core";

/** An attachment as nodemailer's MailComposer takes it. */
export type ComposedAttachment = {
  readonly filename: string;
  readonly content: unknown;
  readonly contentType: string;
  readonly contentDisposition: "inline" | "attachment";
  readonly cid: string | undefined;
};

/**
 * Keeps attachments that are promises, and fail, from ending the process as unhandled: `send()` reports them. To be called
 * as soon as a message is there, since it may be long before its attachments are read, or they never are.
 */
export function expectFailures(message: Message): void {
  // A message that is none is reported by `build()`.
  const attachments: unknown = Object(message).attachments;
  if (!Array.isArray(attachments)) return;
  for (const attachment of attachments) {
    const content: unknown = Object(attachment).content;
    // Promises of another realm are none of this one's: Jest's, for example.
    if (typeof Object(content).then === "function") Promise.resolve(content).catch(() => {});
  }
}

/**
 * Reads all attachments at the same time.
 * @throws what the first one that fails throws; {TypeError} if a content is of no known kind
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
  // Upyo 0.5's type knows arrays and promises alone.
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
    // The source may use the memory again.
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
