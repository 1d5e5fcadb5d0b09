/** Helpers of the tests of smtplib/upyo: a transport with a scripted server, and messages. */
import { createMessage, type Message, type MessageConstructor } from "@upyo/core";
import { type ParsedMail, simpleParser } from "mailparser";
import { onTestFinished } from "vitest";
import type { PoolOptions } from "../../src/index.ts";
import { type SmtplibReceipt, SmtplibTransport } from "../../src/upyo/index.ts";
import { FakeServer, type Script } from "../client/fake-server.ts";

/** Closes something after the test. */
export function closed<T extends { close(): unknown }>(one: T): T {
  onTestFinished(async () => {
    await one.close();
  });
  return one;
}

/** A server with a script, and a transport that leads to it. */
export function faked(
  script: Script = {},
  options: PoolOptions = {},
): { readonly server: FakeServer; readonly transport: SmtplibTransport } {
  const server = new FakeServer(script);
  const transport = new SmtplibTransport({ host: "mail.example.com", transport: server.transport, ...options });
  return { server, transport: closed(transport) };
}

/** A message; `more` overrides parts of it. */
export function letter(more: Partial<MessageConstructor> = {}): Message {
  return createMessage({
    from: "Ada Lovelace <ada@example.com>",
    to: "Charles <charles@example.net>",
    subject: "Note G – complete",
    content: { text: "Hi!\n.\nA dot.\n", html: "<p>Hi!</p>" },
    ...more,
  });
}

/** An attachment; `more` overrides its fields. */
export function attachment(content: unknown, more: object = {}): Message["attachments"][number] {
  const whole: object = {
    inline: false,
    filename: "x.bin",
    contentType: "application/octet-stream",
    contentId: "x@y.example",
  };
  const made: unknown = { ...whole, content, ...more };
  if (!isAttachment(made)) throw new Error("not an attachment");
  return made;
}

// Upyo 0.6 has more kinds of contents than the types of the installed version.
function isAttachment(made: unknown): made is Message["attachments"][number] {
  return typeof made === "object" && made !== null && "content" in made;
}

/** A promise without listeners that rejects after some time. */
export function rejecting(error: unknown, milliseconds = 0): Promise<never> {
  return new Promise((_, reject) => setTimeout(() => reject(error), milliseconds));
}

/** All receipts, in order. */
export async function collected(receipts: AsyncIterable<SmtplibReceipt>): Promise<SmtplibReceipt[]> {
  const all: SmtplibReceipt[] = [];
  for await (const receipt of receipts) all.push(receipt);
  return all;
}

/** Sends a message; returns it as it arrives, and as mailparser reads it. */
export async function arrived(
  message: Message,
): Promise<{ raw: string; header: string; parsed: ParsedMail; server: FakeServer; receipt: SmtplibReceipt }> {
  const { server, transport } = faked({ ehlo: ["8BITMIME", "SMTPUTF8"] });
  const receipt = await transport.send(message);
  if (!receipt.successful) throw receipt.error;
  const raw = (server.messages.at(-1) ?? "").replace(/^\.\./gm, ".");
  const header = raw.slice(0, raw.indexOf("\r\n\r\n") + 2);
  return { raw, header, parsed: await simpleParser(raw), server, receipt };
}

/** The unfolded values of all header fields with this name. */
export function fields(header: string, name: string): string[] {
  const lines = header.replace(/\r\n[ \t]+/g, " ").split("\r\n");
  return lines
    .filter((line) => line.toLowerCase().startsWith(`${name.toLowerCase()}:`))
    .map((line) => line.slice(name.length + 1).trim());
}
