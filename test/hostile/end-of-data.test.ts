/**
 * End markers that real servers were found to accept: no content with one becomes a second message (SECURITY.md, rule
 * 2).
 */
import { Readable } from "node:stream";
import { createMessage } from "@upyo/core";
import fc from "fast-check";
import { createTransport } from "nodemailer";
import { describe, expect, it } from "vitest";
import { type Body, LMTP, SMTP, type SMTPOptions, SMTPPool } from "../../src/index.ts";
import { smtplib } from "../../src/nodemailer/npm.ts";
import { SmtplibTransport } from "../../src/upyo/index.ts";
import { ehlo, type ScriptedServer, scriptedTransport, server } from "../support/scripted-server.ts";
import attacks from "./attacks/end-of-data.json";
import { lenientlyRead } from "./lenient-reading.ts";

const FROM = "a@client.test";
const TO = "b@lab.test";
const ENDS = attacks.markers.map(({ text }) => text);
const MARKERS = attacks.markers.map((marker) => [JSON.stringify(marker.text), marker] as const);

/** The text after the marker: another message, for a server that accepts the marker. */
const SMUGGLED =
  "MAIL FROM:<admin@victim.test>\r\nRCPT TO:<target@victim.test>\r\nDATA\r\nSubject: smuggled\r\n\r\nsmuggled\r\n.\r\n";

const HEADER = `From: ${FROM}\r\nTo: ${TO}\r\nSubject: the only one\r\n\r\n`;

/** How the content is sent to the server. */
const CARRIERS: readonly { readonly name: string; readonly options: SMTPOptions; readonly lmtp?: true }[] = [
  { name: "DATA", options: {} },
  { name: "BDAT", options: { chunking: true } },
  { name: "BDAT in one flight", options: { pipelining: "eager" } },
  { name: "DATA to LMTP", options: { chunking: false }, lmtp: true },
];

const OFFERS = ehlo("PIPELINING", "8BITMIME", "SMTPUTF8", "CHUNKING");

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);

async function* slowly<T>(chunks: readonly T[]): AsyncGenerator<T> {
  for (const chunk of chunks) {
    await Promise.resolve();
    yield chunk;
  }
}

function streamOf(chunks: readonly string[]): ReadableStream<Uint8Array> {
  return new ReadableStream({
    start(controller) {
      for (const chunk of chunks) controller.enqueue(utf8(chunk));
      controller.close();
    },
  });
}

/** Every kind of body, from the chunks of a text. */
const BODIES: Readonly<Record<string, (chunks: readonly string[]) => Body>> = {
  "a string": (chunks) => chunks.join(""),
  octets: (chunks) => utf8(chunks.join("")),
  "a Blob": (chunks) => new Blob([...chunks]),
  "a list of strings": (chunks) => chunks,
  "a list of octets": (chunks) => chunks.map(utf8),
  "an async iterable": (chunks) => slowly(chunks),
  "a web stream": streamOf,
  "a stream of Node's": (chunks) => Readable.from(slowly(chunks.map((chunk) => Buffer.from(chunk)))),
};

type Session = { readonly host: string; readonly options: SMTPOptions; readonly lmtp: boolean };

async function withSession(session: Session, use: (smtp: SMTP) => Promise<unknown>): Promise<void> {
  const smtp = await (session.lmtp ? LMTP : SMTP).connect(session.host, 25, session.options);
  try {
    await use(smtp);
  } finally {
    smtp.close();
  }
}

async function withPool({ host, options, lmtp }: Session, use: (pool: SMTPPool) => Promise<unknown>): Promise<void> {
  const pool = new SMTPPool({ host, port: 25, protocol: lmtp ? "lmtp" : "smtp", ...options });
  try {
    await use(pool);
  } finally {
    await pool.close();
  }
}

async function byNodemailer({ host, options, lmtp }: Session, mail: object): Promise<void> {
  const transport = createTransport(smtplib({ host, port: 25, protocol: lmtp ? "lmtp" : "smtp", ...options }));
  try {
    await transport.sendMail({ from: FROM, to: TO, ...mail });
  } finally {
    transport.close();
  }
}

async function byUpyo({ host, options, lmtp }: Session, more: object): Promise<void> {
  const transport = new SmtplibTransport({ host, port: 25, protocol: lmtp ? "lmtp" : "smtp", ...options });
  try {
    const message = createMessage({ from: FROM, to: TO, subject: "the only one", content: { text: "x" } });
    const receipt = await transport.send({ ...message, ...more });
    if (!receipt.successful) throw receipt.error;
  } finally {
    await transport.close();
  }
}

/** Every way to pass a text that becomes part of the content. */
const WAYS: Readonly<Record<string, (session: Session, text: string, chunks: readonly string[]) => Promise<void>>> = {
  ...Object.fromEntries(
    Object.entries(BODIES).map(([name, body]) => [
      `sendmail with ${name}`,
      (session: Session, _: string, chunks: readonly string[]) =>
        withSession(session, (smtp) => smtp.sendmail(FROM, TO, body(chunks))),
    ]),
  ),
  "deliver with an async iterable": (session, _, chunks) =>
    withSession(session, (smtp) => smtp.deliver({ from: FROM, to: [TO], body: slowly(chunks) })),
  "send_message with a string": (session, text) => withSession(session, (smtp) => smtp.send_message(text)),
  "send_message with octets": (session, text) => withSession(session, (smtp) => smtp.send_message(utf8(text))),
  "data()": (session, text) =>
    withSession(session, async (smtp) => {
      await smtp.ehlo();
      await smtp.mail(FROM);
      await smtp.rcpt(TO);
      return smtp.data(text);
    }),
  "the pool's sendmail": (session, text) => withPool(session, (pool) => pool.sendmail(FROM, TO, text)),
  "the pool's deliver with a stream": (session, _, chunks) =>
    withPool(session, (pool) => pool.deliver({ from: FROM, to: [TO], body: streamOf(chunks) })),
  "nodemailer's raw": (session, text) => byNodemailer(session, { raw: text }),
  "nodemailer's raw as a stream": (session, _, chunks) => byNodemailer(session, { raw: Readable.from(slowly(chunks)) }),
  "nodemailer's text": (session, text) => byNodemailer(session, { text }),
  "nodemailer's subject": (session, text) => byNodemailer(session, { subject: text, text: "x" }),
  "nodemailer's attachment": (session, text) =>
    byNodemailer(session, { attachments: [{ filename: "x", content: text }] }),
  "nodemailer's attached message": (session, text) =>
    byNodemailer(session, {
      attachments: [{ contentType: "message/rfc822", content: text, contentTransferEncoding: "7bit" }],
    }),
  "Upyo's text": (session, text) => byUpyo(session, { content: { text } }),
  "Upyo's HTML": (session, text) => byUpyo(session, { content: { html: text } }),
  "Upyo's subject": (session, text) => byUpyo(session, { subject: text }),
};

/** Sends, and returns the messages that a lenient server sees; undefined: the client refused the message. */
async function seenOf(
  carrier: (typeof CARRIERS)[number],
  send: (session: Session) => Promise<void>,
): Promise<ReturnType<typeof lenientlyRead> | undefined> {
  const answering: ScriptedServer = scriptedTransport([server({ EHLO: OFFERS, LHLO: OFFERS })]);
  const { host, transport } = answering;
  const options = { transport, timeout: 5, ...carrier.options };
  const outcome = await send({ host, options, lmtp: carrier.lmtp === true }).then(
    () => "sent",
    (error: unknown) => error,
  );
  await answering.finish();
  const letters = lenientlyRead(answering.conversations.map(({ text }) => text).join("\r\n"), ENDS);
  if (outcome === "sent") return letters;
  expect(String(outcome)).toMatch(/NUL/);
  expect(answering.conversations.map(({ taken }) => taken).filter((taken) => taken > 0)).toEqual([]);
  expect(letters.length, "nobody sees a message that was refused").toBeLessThanOrEqual(1);
  return undefined;
}

describe("[smuggling: attacks] an end marker", () => {
  it.each(MARKERS)("%s is one to the lenient server, and has a source", (_, { text, sources }) => {
    const sent = `EHLO x\r\nMAIL FROM:<${FROM}>\r\nRCPT TO:<${TO}>\r\nDATA\r\n${HEADER}x${text}${SMUGGLED}`;
    expect(lenientlyRead(sent, ENDS).map(({ from }) => from)).toEqual([FROM, "admin@victim.test"]);
    expect(sources.filter((source) => !(source in attacks.sources))).toEqual([]);
  });

  for (const carrier of CARRIERS) {
    it.each(MARKERS)(`%s makes no second message by ${carrier.name}`, async (_, { text }) => {
      const parts = [`${HEADER}before`, ...text, SMUGGLED];
      for (const [way, send] of Object.entries(WAYS)) {
        const seen = await seenOf(carrier, (session) => send(session, parts.join(""), parts));
        if (seen === undefined) continue;
        expect(
          seen.map(({ from, to }) => ({ from, to })),
          way,
        ).toEqual([{ from: FROM, to: [TO] }]);
      }
    });

    it(`makes no second message by ${carrier.name}, wherever the content is cut`, async () => {
      const cut = fc.array(fc.constantFrom(...ENDS, "\r", "\n", ".", "\0", "x", SMUGGLED), { maxLength: 8 });
      await fc.assert(
        fc.asyncProperty(cut, fc.constantFrom(...Object.values(BODIES)), async (chunks, body) => {
          const seen = await seenOf(carrier, (session) =>
            withSession(session, (smtp) => smtp.sendmail(FROM, TO, body(chunks))),
          );
          if (seen !== undefined) expect(seen.map(({ from }) => from)).toEqual([FROM]);
        }),
        { numRuns: 150 },
      );
    });
  }

  it("of code units that would become one if they were cut to bytes is text", async () => {
    const parts = [`${HEADER}before`, ...attacks.cut.text, SMUGGLED];
    for (const carrier of CARRIERS) {
      for (const [way, send] of Object.entries(WAYS)) {
        const seen = await seenOf(carrier, (session) => send(session, parts.join(""), parts));
        expect(
          seen?.map(({ from }) => from),
          `${way} by ${carrier.name}`,
        ).toEqual([FROM]);
      }
    }
  });
});
