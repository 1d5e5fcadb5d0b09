/**
 * Mails of the plug-ins whose content pauses: the available bytes are sent, and the source is released at the end of
 * the session.
 */
import { PassThrough } from "node:stream";
import { createTransport } from "nodemailer";
import { expect, test } from "vitest";
import { SMTPPool } from "../../src/index.ts";
import { MailContent } from "../../src/nodemailer/content.ts";
import { smtplib } from "../../src/nodemailer/npm.ts";
import { FakeServer } from "../client/fake-server.ts";

const [from, to, host] = ["a@example.com", "b@example.com", "mail.example.com"];

test.each([[["PIPELINING"]], [["PIPELINING", "CHUNKING"]], [[]]])(
  "the beginning of an attachment that pauses arrives: %j",
  async (ehlo) => {
    const server = new FakeServer({ ehlo });
    const transporter = createTransport(smtplib({ host, transport: server.transport }));
    const slow = new PassThrough();
    slow.write("first,part\n".repeat(30));
    const sent = transporter.sendMail({ from, to, text: "Hi!", attachments: [{ filename: "x.csv", content: slow }] });
    await server.until(({ writes }) =>
      writes.join("").includes(Buffer.from("first,part\n").toString("base64").slice(0, 12)),
    );
    slow.end("second,part\n");
    expect(await sent).toMatchObject({ accepted: [to], messageSize: expect.any(Number) });
    transporter.close();
  },
);

test("an attachment that hangs is released, and the mail rejected, when the connection dies", async () => {
  const server = new FakeServer({ ehlo: ["PIPELINING"] });
  const transporter = createTransport(smtplib({ host, transport: server.transport }));
  const slow = new PassThrough();
  slow.write("x".repeat(1000));
  const sent = transporter.sendMail({ from, to, raw: slow }).catch((error: unknown) => error);
  await server.until(({ writes }) => writes.join("").includes("xxx"));
  server.streams[0]?.abort();
  expect(await sent).toMatchObject({ code: "ESOCKET", delivery: "not-sent" });
  transporter.close();
});

test("a stream that is awaited is destroyed, in both plug-ins", async () => {
  const server = new FakeServer({ ehlo: ["PIPELINING"] });
  const pool = new SMTPPool({ host, transport: server.transport });
  const stream = new PassThrough();
  stream.write("xxx");
  const mail = {
    data: {},
    message: { getEnvelope: () => ({}), messageId: () => "", createReadStream: () => stream },
  };
  const body = new MailContent(mail);
  const sent = pool.deliver({ from, to: [to], body }).catch((error: unknown) => error);
  await server.until(({ writes }) => writes.join("").includes("xxx"));
  expect(stream.destroyed).toBe(false);
  server.say("552 too much\r\n");
  expect(await sent).toMatchObject({ smtp_code: 552, delivery: "rejected" });
  expect(stream.destroyed).toBe(true);
  await pool.close();
});
