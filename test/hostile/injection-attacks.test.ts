/**
 * Known injection attacks, through every argument that is an address or becomes part of a header (SECURITY.md, rule 1).
 */
import { createMessage, type Message } from "@upyo/core";
import { createTransport, type SendMailOptions } from "nodemailer";
import { describe, expect, it } from "vitest";
import { SMTP, SMTPPool, type Transport } from "../../src/index.ts";
import { smtplib } from "../../src/nodemailer/npm.ts";
import { SmtplibTransport } from "../../src/upyo/index.ts";
import { permit } from "../judge/under-test.ts";
import { ehlo, scriptedTransport, server } from "../support/scripted-server.ts";
import attacks from "./attacks/injection.json";

const FROM = "a@client.test";
const TO = "c@lab.test";
const TEXT = "Subject: x\r\n\r\nx\r\n";
const OFFERS = ehlo("PIPELINING", "8BITMIME", "SMTPUTF8", "DSN", "SIZE");

type Send = (transport: Transport, poison: string) => Promise<unknown>;

async function withSmtp(transport: Transport, use: (smtp: SMTP) => Promise<unknown>): Promise<unknown> {
  const smtp = await SMTP.connect("mail.test", 25, { transport, timeout: 5 });
  try {
    return await use(smtp);
  } finally {
    smtp.close();
  }
}

async function withPool(transport: Transport, use: (pool: SMTPPool) => Promise<unknown>): Promise<unknown> {
  const pool = new SMTPPool({ host: "mail.test", transport, timeout: 5 });
  try {
    return await use(pool);
  } finally {
    await pool.close();
  }
}

async function byNodemailer(transport: Transport, mail: SendMailOptions): Promise<unknown> {
  const mailer = createTransport(smtplib({ host: "mail.test", transport, timeout: 5 }));
  try {
    return await mailer.sendMail({ from: FROM, to: TO, subject: "x", text: "x", ...mail });
  } finally {
    mailer.close();
  }
}

async function byUpyo(transport: Transport, more: object): Promise<unknown> {
  const sender = new SmtplibTransport({ host: "mail.test", transport, timeout: 5 });
  try {
    const message = createMessage({ from: FROM, to: TO, subject: "x", content: { text: "x" } });
    const receipt = await sender.send({ ...message, ...more });
    if (!receipt.successful) throw receipt.error;
    return receipt;
  } finally {
    await sender.close();
  }
}

/** An address in an object, which Upyo has not checked. */
const raw = (address: string): object => ({ address });

/** Every argument that is one address. */
const ADDRESSES: Readonly<Record<string, Send>> = {
  "sendmail's sender": (t, v) => withSmtp(t, (s) => s.sendmail(v, TO, TEXT)),
  "sendmail's recipient": (t, v) => withSmtp(t, (s) => s.sendmail(FROM, v, TEXT)),
  "sendmail's second recipient": (t, v) => withSmtp(t, (s) => s.sendmail(FROM, [TO, v], TEXT)),
  "send_message's from_addr": (t, v) => withSmtp(t, (s) => s.send_message(TEXT, v, TO)),
  "send_message's to_addrs": (t, v) => withSmtp(t, (s) => s.send_message(TEXT, FROM, [v])),
  "deliver's from": (t, v) => withSmtp(t, (s) => s.deliver({ from: v, to: [TO], body: TEXT })),
  "deliver's address": (t, v) => withSmtp(t, (s) => s.deliver({ from: FROM, to: [{ address: v }], body: TEXT })),
  "mail() and rcpt()": (t, v) =>
    withSmtp(t, async (s) => {
      await s.ehlo();
      await s.mail(v);
      return s.rcpt(v);
    }),
  "vrfy() and expn()": (t, v) => withSmtp(t, async (s) => [await s.vrfy(v), await s.expn(v)]),
  "the option auth": (t, v) => withSmtp(t, (s) => s.sendmail(FROM, TO, TEXT, { auth: v })),
  "the option orcpt": (t, v) => withSmtp(t, (s) => s.sendmail(FROM, TO, TEXT, {}, { orcpt: `rfc822;${v}` })),
  "a raw option": (t, v) => withSmtp(t, (s) => s.sendmail(FROM, TO, TEXT, [`X=${v}`])),
  "the pool's sender": (t, v) => withPool(t, (p) => p.sendmail(v, TO, TEXT)),
  "the pool's recipient": (t, v) => withPool(t, (p) => p.deliver({ from: FROM, to: [TO, v], body: TEXT })),
  "Upyo's sender": (t, v) => byUpyo(t, { sender: raw(v) }),
  "Upyo's recipients": (t, v) => byUpyo(t, { recipients: [raw(TO), raw(v)] }),
  "Upyo's Cc": (t, v) => byUpyo(t, { ccRecipients: [raw(v)] }),
  "Upyo's Bcc": (t, v) => byUpyo(t, { bccRecipients: [raw(v)] }),
  "Upyo's Reply-To": (t, v) => byUpyo(t, { replyRecipients: [raw(v)] }),
};

/** Every header field that contains lists of addresses. */
const FIELDS: Readonly<Record<string, Send>> = {
  ...Object.fromEntries(
    ["From", "To", "Cc", "Bcc", "Sender", "Resent-To"].map((field): [string, Send] => [
      `the field ${field} of send_message`,
      (t, v) => {
        const resent = field === "Resent-To" ? `Resent-Date: x\r\nResent-From: ${FROM}\r\n` : "";
        const others = [
          ["From", FROM],
          ["To", TO],
        ].filter(([name]) => name !== field);
        const lines = [...others, [field, v]].map(([name, value]) => `${name}: ${value}\r\n`).join("");
        return withSmtp(t, (s) => s.send_message(`${resent}${lines}\r\nx\r\n`));
      },
    ]),
  ),
};

/**
 * Arguments that nodemailer parses as lists before this transport gets them: nodemailer decides which addresses they
 * contain.
 */
const LISTS_OF_NODEMAILER: Readonly<Record<string, Send>> = {
  ...Object.fromEntries(
    ["from", "to", "cc", "bcc", "replyTo", "sender"].flatMap((name): [string, Send][] => [
      [`nodemailer's ${name}`, (t, v) => byNodemailer(t, { [name]: v })],
      [`nodemailer's ${name} as an object`, (t, v) => byNodemailer(t, { [name]: { name: "x", address: v } })],
    ]),
  ),
  "nodemailer's envelope": (t, v) => byNodemailer(t, { envelope: { from: v, to: [TO, v] } }),
};

const named = (name: string): Message["sender"] => ({ name, address: FROM });

/** Every argument that becomes part of a header, of the message or of a part. */
const TEXTS: Readonly<Record<string, Send>> = {
  ...Object.fromEntries(
    ["subject", "inReplyTo", "references", "messageId", "date"].map((name): [string, Send] => [
      `nodemailer's ${name}`,
      (t, v) => byNodemailer(t, { [name]: v }),
    ]),
  ),
  "nodemailer's names": (t, v) =>
    byNodemailer(t, { from: { name: v, address: FROM }, to: { name: v, address: TO }, cc: [{ name: v, address: TO }] }),
  "nodemailer's field": (t, v) => byNodemailer(t, { headers: { "X-Field": v } }),
  "nodemailer's name of a field": (t, v) => byNodemailer(t, { headers: { [v]: "x" } }),
  "nodemailer's attachment": (t, v) =>
    byNodemailer(t, {
      attachments: [{ filename: v, content: "x", contentType: v, cid: v, headers: { "X-Field": v } }],
    }),
  "nodemailer's list": (t, v) => byNodemailer(t, { list: { unsubscribe: v, help: { url: "x", comment: v } } }),
  "Upyo's subject": (t, v) => byUpyo(t, { subject: v }),
  "Upyo's names": (t, v) =>
    byUpyo(t, { sender: named(v), recipients: [{ name: v, address: TO }], replyRecipients: [named(v)] }),
  "Upyo's field": (t, v) => byUpyo(t, { headers: new Headers({ "x-field": "x" }), ...field("x-field", v) }),
  "Upyo's name of a field": (t, v) => byUpyo(t, field(v, "x")),
  "Upyo's attachment": (t, v) =>
    byUpyo(t, {
      attachments: [{ inline: true, filename: v, content: new Uint8Array([1]), contentType: v, contentId: v }],
    }),
  "Upyo's messageId": (t, v) => byUpyo(t, { messageId: v }),
  "Upyo's thread": (t, v) => byUpyo(t, { inReplyTo: [v], references: [v] }),
  "Upyo's key": (t, v) => byUpyo(t, { idempotencyKey: v }),
  "Upyo's calendar": (t, v) => byUpyo(t, { calendar: { method: v, content: "x" } }),
  "Upyo's tags": (t, v) => byUpyo(t, { tags: [v] }),
};

/** A header with a field that `Headers` would refuse. */
function field(name: string, value: string): object {
  return { headers: new Map([[name, value]]) };
}

/** Every complete command that a client may send here. */
const COMMAND =
  /^(EHLO \S+|MAIL FROM:<[^\r\n\0]*>( [A-Z0-9-]+(=\S+)?)*|RCPT TO:<[^\r\n\0]+>( [A-Z0-9-]+(=\S+)?)*|DATA|RSET|QUIT|NOOP|(VRFY|EXPN) [^\r\n\0]+)$/;

/** The commands and messages that a server received from a call, and the call's error. */
async function seen(send: Send, poison: string) {
  const answering = scriptedTransport([server({ EHLO: OFFERS })]);
  if (answering.transport === undefined) throw new Error("the server is not in memory");
  const outcome = await send(answering.transport, poison).then(
    () => undefined,
    (error: unknown) => error,
  );
  await answering.finish();
  const lines = answering.conversations.flatMap(({ lines }) => lines);
  const bodies = answering.conversations.flatMap(({ bodies }) => bodies);
  return { outcome, lines, bodies };
}

/** The domains of senders and recipients as a server reads them: after the last @ outside of quotes. */
function domainsIn(lines: readonly string[]): string[] {
  const paths = lines.flatMap((line) => /^(?:MAIL FROM|RCPT TO):<(.*?)>(?: |$)/.exec(line)?.[1] ?? []);
  return paths.map(
    (path) =>
      path
        .replace(/"(\\.|[^"\\])*"/g, "")
        .split("@")
        .at(-1) ?? "",
  );
}

/** Expects whole commands, at most one message, and no injected field, whatever the argument was. */
function expectSound({ outcome, lines, bodies }: Awaited<ReturnType<typeof seen>>, name: string): string {
  const where = `${name}: ${String(outcome)}\n${lines.join("\n")}\n${bodies.join("\n")}`;
  expect(
    lines.filter((line) => !COMMAND.test(line)),
    where,
  ).toEqual([]);
  expect(bodies.length, where).toBeLessThanOrEqual(1);
  expect(lines.filter((line) => line.startsWith("MAIL")).length, where).toBeLessThanOrEqual(1);
  expect(headerOf(bodies[0] ?? ""), where).not.toMatch(/^X-Injected:/im);
  return where;
}

describe("[injection: attacks] an address", () => {
  const all = attacks.addresses.map((address: Address) => [JSON.stringify(address.text), address] as const);
  const inOneLine = all.filter(([, { text }]) => !/[\r\n]/.test(text));

  it.each(all)("%s is one or none, wherever it stands", async (_, { text, evil }) => {
    // A parameter may contain non-ASCII text as the caller wrote it.
    permit(/RFC 5321 4\.1\.(2: parameters|1\.11: no parameter)/);
    for (const [name, send] of Object.entries(ADDRESSES)) {
      const what = await seen(send, text);
      const where = expectSound(what, name);
      if (evil !== true) expect(domainsIn(what.lines), where).not.toContain("evil.test");
      expect(what.lines.filter((line) => line.startsWith("RCPT")).length, where).toBeLessThanOrEqual(2);
    }
  });

  it.each(inOneLine)("%s in a field is nobody else", async (_, { text, evil, list }) => {
    for (const [name, send] of Object.entries(FIELDS)) {
      const what = await seen(send, text);
      const where = expectSound(what, name);
      if (evil !== true && list !== true) expect(domainsIn(what.lines), where).not.toContain("evil.test");
    }
  });

  it.each(all)("%s in nodemailer's fields begins nothing", async (_, { text }) => {
    for (const [name, send] of Object.entries(LISTS_OF_NODEMAILER)) expectSound(await seen(send, text), name);
  });
});

type Address = {
  readonly text: string;
  readonly sources: readonly string[];
  /** True if it is a list by RFC 5322 that contains evil's address. */
  readonly list?: boolean;
  /** True if it is evil's own address by any reading: IDNA maps it. */
  readonly evil?: boolean;
};

/** The header, unfolded. */
function headerOf(body: string): string {
  return body.split("\r\n\r\n", 1)[0]?.replace(/\r\n[ \t]+/g, " ") ?? "";
}

describe("[injection: attacks] a text", () => {
  it.each(attacks.texts.map(({ text }) => [JSON.stringify(text), text]))(
    "%s begins no field, wherever it stands",
    async (_, text = "") => {
      for (const [name, send] of Object.entries(TEXTS)) {
        const { outcome, lines, bodies } = await seen(send, text);
        const body = bodies[0] ?? "";
        const where = `${name}: ${String(outcome)}\n${body}`;
        expect(
          lines.filter((line) => !COMMAND.test(line)),
          where,
        ).toEqual([]);
        expect(domainsIn(lines), where).not.toContain("evil.test");
        expect(bodies.length, where).toBeLessThanOrEqual(1);
        // No line of the header, of a part's header or of the body is the injected one.
        expect(body, where).not.toMatch(/^(X-Injected|Bcc|MAIL FROM):/im);
        expect(body, where).not.toMatch(/\r(?!\n)|(?<!\r)\n/);
      }
    },
  );
});

describe("[injection: attacks]", () => {
  it("each have a source", () => {
    const all = [...attacks.addresses, ...attacks.texts, ...attacks.arguments].flatMap(({ sources }) => sources);
    expect(all.filter((source) => !(source in attacks.sources))).toEqual([]);
  });

  it.each(attacks.arguments.map(({ text }) => [JSON.stringify(text), text]))(
    "%s is refused as a name and as a size",
    async (_, text = "") => {
      expect(() => new SMTP("", 0, { local_hostname: text })).toThrow(/local_hostname/);
      expect(() => new SMTPPool({ host: "mail.test", local_hostname: text })).toThrow(/local_hostname/);
      const size: Record<string, number> = JSON.parse(JSON.stringify({ size: text }));
      const { outcome, lines } = await seen((t) => withSmtp(t, (s) => s.sendmail(FROM, TO, TEXT, size)), "");
      expect(String(outcome)).toMatch(/size/);
      expect(lines.filter((line) => /^(MAIL|RCPT)/.test(line))).toEqual([]);
    },
  );
});
