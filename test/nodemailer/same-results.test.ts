/** The results of `sendMail()`, compared with those of nodemailer's own pool and the same server. */
import { Readable } from "node:stream";
import { createTransport, type SendMailOptions } from "nodemailer";
import { describe, expect, it } from "vitest";
import { smtplib } from "../../src/nodemailer/npm.ts";
import { type Answers, delay, ehlo, inOrder, server, startScriptedServer } from "../support/scripted-server.ts";

const MAIL: SendMailOptions = {
  from: "Ada <ada@example.com>",
  to: ["charles@example.net", "mary@example.net"],
  subject: "Hello",
  text: "Hi!",
  messageId: "<1@example.com>",
  date: new Date(0),
  attachments: [{ filename: "note-g.csv", content: "operation,variable\n" }],
};

/** Name -> the server's answers, and the mail, made for each transport: a stream can be read once. */
const CASES: Readonly<Record<string, [answers: Answers, mail: () => SendMailOptions, protocol?: "lmtp"]>> = {
  "a plain mail": [{}, () => MAIL],
  "a mail of which one recipient was refused": [{ RCPT: inOrder("250 ok", "550 5.1.1 no") }, () => MAIL],
  "a server that offers much": [
    { EHLO: ehlo("SIZE 1000000", "PIPELINING", "8BITMIME", "AUTH PLAIN LOGIN") },
    () => MAIL,
  ],
  "a server that offers nothing": [{ EHLO: ehlo() }, () => MAIL],
  "a server that knows HELO only": [{ EHLO: "502 what?" }, () => MAIL],
  "lines with dots, and of each kind": [{}, () => ({ ...MAIL, raw: "Subject: x\r\n\r\n.\r\n..\n.a\rb\r\n" })],
  "a message without a last line end": [{}, () => ({ ...MAIL, raw: "Subject: x\r\n\r\nHi" })],
  "a message that ends with a bare CR": [{}, () => ({ ...MAIL, raw: "Subject: x\r\n\r\nHi\r" })],
  "a long message, in pieces": [
    {},
    () => ({ ...MAIL, raw: Readable.from(Array.from({ length: 300 }, () => `.${"x".repeat(997)}\n`)) }),
  ],
  "a reply of several lines": [{ ".": "250-2.0.0 queued\r\n250 2.0.0 as 1" }, () => MAIL],
  LMTP: [{ ".": "250 2.0.0 ok\r\n452 4.2.2 full" }, () => MAIL, "lmtp"],
};

describe("the result is that of nodemailer's own pool", () => {
  it.each(Object.entries(CASES))("for %s", async (_, [answers, mail, lmtp]) => {
    const protocol = lmtp ?? "smtp";
    const script = await startScriptedServer(server(answers));
    const where = { host: script.host, port: script.port };
    const pool = createTransport({ ...where, pool: true, ignoreTLS: true, lmtp: lmtp !== undefined });
    const ours = createTransport(smtplib({ ...where, starttls: "never", protocol }));
    const times = { envelopeTime: expect.any(Number), messageTime: expect.any(Number) };
    const expected = { ...(await pool.sendMail(mail())), ...times };
    const info = await ours.sendMail(mail());
    expect({ ...info, rejectedErrors: plain(info.rejectedErrors) }).toEqual({
      ...expected,
      rejectedErrors: plain(expected.rejectedErrors),
    });
    expect(Object.keys(info).sort()).toEqual(Object.keys(expected).sort());
    await Promise.all([pool.close(), ours.close()]);
    await script.finish();
  });

  it("and its times are the envelope's and the content's", async () => {
    const slow = { MAIL: [delay(0.1), "250 ok"], ".": [delay(0.2), "250 ok"] };
    const script = await startScriptedServer(server(slow));
    const ours = createTransport(smtplib({ host: script.host, port: script.port, starttls: "never" }));
    const { envelopeTime, messageTime } = await ours.sendMail(MAIL);
    expect(envelopeTime).toBeGreaterThanOrEqual(95);
    expect(messageTime).toBeGreaterThanOrEqual(195);
    expect([envelopeTime, messageTime].every(Number.isInteger)).toBe(true);
    await ours.close();
    await script.finish();
  });
});

/** The errors' fields, and their messages. */
function plain(errors: readonly Error[] | undefined): object[] | undefined {
  return errors?.map((error) => ({ ...error, message: error.message }));
}
