/** smtplib/nodemailer with the real nodemailer: common uses of nodemailer's own transport work with this one. */
import { generateKeyPairSync } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Readable } from "node:stream";
import { simpleParser } from "mailparser";
import { createTransport, type SendMailOptions } from "nodemailer";
import { afterEach, describe, expect, it } from "vitest";
import { type PoolOptions, SMTPPool } from "../../src/index.ts";
import { smtplib, VERSION } from "../../src/nodemailer/npm.ts";
import { FakeServer, type Script } from "../client/fake-server.ts";
import { root } from "../packaging/snippets.ts";
import { type EmbeddedServer, startEmbeddedServer } from "../support/embedded-server.ts";

const MAIL: SendMailOptions = {
  from: "Ada <ada@example.com>",
  to: ["Charles <charles@example.net>", "mary@example.net"],
  bcc: "hidden@example.net",
  subject: "Note G – complete",
  text: "Hi!\n.\nA dot alone.\n",
  attachments: [{ filename: "note-g.csv", content: "operation,variable\n" }],
};

const TLS = {
  protocol: "TLSv1.3",
  cipher: undefined,
  verified: true,
  fingerprint256: undefined,
  group: undefined,
  exporter: undefined,
};

const open: { close(): unknown }[] = [];

afterEach(async () => {
  for (const one of open.splice(0)) await one.close();
});

function faked(script: Script = {}, options: PoolOptions = {}) {
  const server = new FakeServer(script);
  const transporter = createTransport(
    smtplib({ host: "mail.example.com", transport: server.transport, starttls: "never", ...options }),
  );
  open.push(transporter);
  return { server, transporter };
}

async function served(): Promise<EmbeddedServer> {
  const server = await startEmbeddedServer({ auth: { user: "user", password: "password" } });
  open.push(server);
  return server;
}

describe("a mail", () => {
  it("arrives as nodemailer built it, encrypted and after a login, without its Bcc", async () => {
    const server = await served();
    const auth = { user: "user", password: "password" };
    const transporter = createTransport(
      smtplib({ host: "localhost", port: server.port, auth, context: { ca: server.ca } }),
    );
    open.unshift(transporter);
    const info = await transporter.sendMail(MAIL);
    expect(info).toEqual({
      envelope: { from: "ada@example.com", to: ["charles@example.net", "mary@example.net", "hidden@example.net"] },
      messageId: expect.stringMatching(/^<.*@example\.com>$/),
      accepted: ["charles@example.net", "mary@example.net", "hidden@example.net"],
      rejected: [],
      response: "250 2.6.0 queued as 1",
      ehlo: expect.arrayContaining(["PIPELINING", "AUTH PLAIN LOGIN CRAM-MD5"]),
      envelopeTime: expect.any(Number),
      messageTime: expect.any(Number),
      messageSize: expect.any(Number),
    });
    const [message] = server.messages;
    expect(message).toMatchObject({ secure: true, user: "user", to: info.accepted });
    const parsed = await simpleParser(Buffer.from(message?.content ?? []));
    expect(parsed).toMatchObject({ subject: MAIL.subject, messageId: info.messageId, text: MAIL.text });
    expect(parsed.attachments.map(({ filename, content }) => [filename, String(content)])).toEqual([
      ["note-g.csv", "operation,variable\n"],
    ]);
    expect(parsed.bcc).toBeUndefined();
    // The single dot in the text is doubled, and another one ends the message.
    expect(info.messageSize).toBe((message?.content.length ?? 0) + "..\r\n".length);
  });

  it("may be sent with a connection URL and with a callback, as with nodemailer's own transport", async () => {
    const server = await served();
    const url = `smtp://user:password@127.0.0.1:${server.port}?starttls=never`;
    const transporter = createTransport(smtplib(url));
    open.unshift(transporter);
    const info = await new Promise((resolve, reject) => {
      transporter.sendMail(MAIL, (error, result) => (error ? reject(error) : resolve(result)));
    });
    expect(info).toMatchObject({ rejected: [], response: "250 2.6.0 queued as 1" });
  });

  it("is signed by nodemailer's DKIM and changed by its plug-ins, as ever", async () => {
    const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 1024 });
    const key = privateKey.export({ type: "pkcs8", format: "pem" }).toString();
    const server = new FakeServer();
    const transporter = createTransport(
      smtplib({ host: "mail.example.com", transport: server.transport, starttls: "never" }),
      { dkim: { domainName: "example.com", keySelector: "k1", privateKey: key } },
    );
    open.push(transporter);
    transporter.use("compile", (mail, done) => {
      mail.data.headers = { "X-Plugin": "was here" };
      done();
    });
    await transporter.sendMail(MAIL);
    expect(server.messages[0]).toMatch(/^DKIM-Signature: v=1; a=rsa-sha256;/);
    expect(server.messages[0]).toMatch(/^X-Plugin: was here\r$/m);
  });

  it("of many recipients tells who was refused, each with an error", async () => {
    const refuse = (line: string): string => (line.includes("mary") ? "550 5.1.1 no such user" : "250 ok");
    const { transporter } = faked({ on: { RCPT: refuse } });
    const { accepted, rejected, rejectedErrors } = await transporter.sendMail(MAIL);
    expect({ accepted, rejected }).toEqual({
      accepted: ["charles@example.net", "hidden@example.net"],
      rejected: ["mary@example.net"],
    });
    expect(rejectedErrors).toMatchObject([
      {
        message: "Recipient command failed: 550 5.1.1 no such user",
        code: "EENVELOPE",
        command: "RCPT TO",
        recipient: "mary@example.net",
        response: "550 5.1.1 no such user",
        responseCode: 550,
        permanent: true,
      },
    ]);
  });

  it("goes to the envelope that it names, whatever its header says", async () => {
    const { server, transporter } = faked();
    const envelope = { from: "", to: ["bounces@example.net"] };
    expect(await transporter.sendMail({ ...MAIL, envelope })).toMatchObject({ envelope });
    expect(server.lines).toEqual(expect.arrayContaining(["MAIL FROM:<>", "RCPT TO:<bounces@example.net>"]));
  });

  it("asks for delivery reports in nodemailer's words, and goes without them where the server has none", async () => {
    const dsn = { id: "msg-1", return: "headers", notify: "success,failure", recipient: "ada@example.com" };
    const { server, transporter } = faked({ ehlo: ["DSN"] });
    await transporter.sendMail({ ...MAIL, dsn });
    expect(server.lines).toContain("MAIL FROM:<ada@example.com> RET=HDRS ENVID=msg-1");
    expect(server.lines).toContain("RCPT TO:<charles@example.net> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;ada@example.com");
    const plain = faked();
    expect(await plain.transporter.sendMail({ ...MAIL, dsn })).toMatchObject({ rejected: [] });
    expect(plain.server.lines).toContain("MAIL FROM:<ada@example.com>");
    await expect(plain.transporter.sendMail({ ...MAIL, dsn: { ret: "some" } })).rejects.toMatchObject({
      code: "EENVELOPE",
    });
  });

  it("keeps the type of an original recipient, and knows the wishes for reports in any case and spacing", async () => {
    const dsn = { ret: "full", envid: "2", notify: ["Delay", " failure "], orcpt: "x400;ada" };
    const { server, transporter } = faked({ ehlo: ["DSN"] });
    await transporter.sendMail({ ...MAIL, dsn });
    expect(server.lines).toContain("MAIL FROM:<ada@example.com> RET=FULL ENVID=2");
    expect(server.lines).toContain("RCPT TO:<charles@example.net> NOTIFY=DELAY,FAILURE ORCPT=x400;ada");
  });

  it("goes without reports about itself where the server has none, though it wants none of its recipients", async () => {
    const { server, transporter } = faked();
    expect(await transporter.sendMail({ ...MAIL, dsn: { ret: "HDRS" } })).toMatchObject({ rejected: [] });
    expect(server.lines).toContain("MAIL FROM:<ada@example.com>");
  });

  it("says how big it is, and that it needs TLS on its whole way, where its envelope does", async () => {
    const { server, transporter } = faked({ ehlo: ["SIZE 1000000", "REQUIRETLS"], peer: { tls: TLS } });
    const envelope = { from: { name: "Ada", address: "ada@example.com" }, to: "charles@example.net", size: 4321 };
    await transporter.sendMail({ ...MAIL, envelope: Object.assign(envelope, { requireTLSExtensionEnabled: true }) });
    expect(server.lines).toContain("MAIL FROM:<ada@example.com> SIZE=4321 REQUIRETLS");
  });

  it("may come as text, and be empty", async () => {
    const server = new FakeServer({ ehlo: ["8BITMIME"] });
    const transport = smtplib({ host: "mail.example.com", transport: server.transport, starttls: "never" });
    open.push(transport);
    const send = (...pieces: string[]): Promise<unknown> => {
      const message = {
        getEnvelope: () => ({ from: { address: "ada@example.com" }, to: [{ address: "charles@example.net" }] }),
        messageId: () => "<1@example.com>",
        createReadStream: () => Readable.from(pieces),
      };
      return new Promise((resolve) => transport.send({ data: {}, message }, (error, info) => resolve(error ?? info)));
    };
    expect(await send("Grü", "ße\n")).toMatchObject({ messageSize: "Grüße\r\n.\r\n".length + 2 });
    expect(await send()).toMatchObject({ messageSize: ".\r\n".length });
    expect(server.messages).toEqual(["Grüße\r\n", ""]);
  });

  it("to a server of LMTP tells of each recipient what became of the message", async () => {
    const server = new FakeServer({ on: { ".": "250 2.0.0 ok\r\n550 5.2.1 disabled\r\n250 2.0.0 ok" } });
    const transporter = createTransport(smtplib("lmtp://mail.example.com", { transport: server.transport }));
    open.push(transporter);
    expect(await transporter.sendMail(MAIL)).toMatchObject({
      accepted: ["charles@example.net", "hidden@example.net"],
      rejectedErrors: [{ code: "EMESSAGE", command: "DATA", recipient: "mary@example.net", responseCode: 550 }],
    });
  });

  it("is dropped with all others by the signal of the transport", async () => {
    const controller = new AbortController();
    const { server, transporter } = faked({ on: { ".": () => undefined } }, { signal: controller.signal });
    const sending = transporter.sendMail(MAIL).catch((error: unknown) => error);
    await server.saw(".");
    controller.abort(new Error("shutting down"));
    expect(await sending).toMatchObject({ code: "ECONNECTION", message: "shutting down" });
  });

  it("is streamed: what is attached is opened when the mail is sent, and not before", async () => {
    let read = 0;
    const attached = (): Readable =>
      new Readable({
        read() {
          read++;
          this.push(read > 20 ? null : Buffer.alloc(50_000, "x"));
        },
      });
    const { server, transporter } = faked(
      { on: { ".": () => (server.messages.length > 1 ? "250 ok" : undefined) } },
      { maxConnections: 1 },
    );
    const first = transporter.sendMail(MAIL);
    const second = transporter.sendMail({ ...MAIL, attachments: [{ content: attached() }] });
    await server.saw(".");
    expect(read).toBe(0);
    server.say("250 ok\r\n");
    await first;
    const { messageSize } = await second;
    expect(read).toBe(21);
    expect(messageSize).toBeGreaterThan(1_000_000);
    expect(server.messages[1]?.length).toBe(messageSize - ".\r\n".length);
  });
});

describe("the transport", () => {
  it("has a name and this package's version", () => {
    expect(smtplib({ host: "mail.example.com" })).toMatchObject({ name: "smtplib", version: VERSION });
    expect(VERSION).toBe(JSON.parse(readFileSync(join(root, "package.json"), "utf8")).version);
  });

  it("verifies by a promise and by a callback", async () => {
    const { transporter } = faked();
    expect(await transporter.verify()).toBe(true);
    expect(await new Promise((resolve) => transporter.verify((_, success) => resolve(success)))).toBe(true);
    const auth = { user: "user", password: "wrong" };
    const wrong = faked({ ehlo: ["AUTH PLAIN"], on: { AUTH: "535 5.7.8 no" } }, { auth, allowInsecureAuth: true });
    await expect(wrong.transporter.verify()).rejects.toMatchObject({ code: "EAUTH", responseCode: 535 });
    const error = await new Promise((resolve) => wrong.transporter.verify(resolve));
    expect(error).toMatchObject({ code: "EAUTH", command: "AUTH PLAIN", response: "535 5.7.8 no" });
  });

  it("is fed by its idle events, as nodemailer's pool is", async () => {
    const { server, transporter } = faked({}, { maxConnections: 2 });
    const mails = Array.from({ length: 25 }, (_, index) => ({ ...MAIL, to: `user${index}@example.net` }));
    const sent: Promise<unknown>[] = [];
    let most = 0;
    const feed = (): void => {
      while (transporter.isIdle() && mails.length > 0) {
        sent.push(transporter.sendMail(mails.shift() ?? MAIL));
        most = Math.max(most, sent.length - server.messages.length);
      }
    };
    await new Promise<void>((resolve) => {
      transporter.on("idle", () => {
        feed();
        if (mails.length === 0) resolve();
      });
    });
    await Promise.all(sent);
    expect(server.messages).toHaveLength(25);
    expect(most).toBeLessThan(10);
    expect(transporter.isIdle()).toBe(true);
  });

  it("pools its connections, and says QUIT on each when it is closed", async () => {
    const { server, transporter } = faked({}, { maxConnections: 2 });
    await Promise.all(Array.from({ length: 10 }, () => transporter.sendMail(MAIL)));
    expect(server.streams.length).toBeLessThanOrEqual(2);
    await transporter.close();
    expect(server.lines.filter((line) => line === "QUIT")).toHaveLength(server.streams.length);
    await expect(transporter.sendMail(MAIL)).rejects.toMatchObject({ code: "ECONNECTION", delivery: "not-sent" });
  });

  it("sends what it has taken when it is closed, and with force drops it", async () => {
    const { server, transporter } = faked({}, { maxConnections: 1 });
    const mails = [1, 2, 3].map(() => transporter.sendMail(MAIL));
    await server.until(({ lines }) => lines.length > 0);
    await transporter.close();
    await Promise.all(mails);
    expect(server.messages).toHaveLength(3);
    const stalled = faked({ on: { ".": () => undefined } });
    const outcome = stalled.transporter.sendMail(MAIL).catch((error: unknown) => error);
    await stalled.server.saw(".");
    await stalled.transporter.close({ force: true });
    expect(await outcome).toMatchObject({ code: "ECONNECTION", message: "Connection pool was closed" });
  });

  it("looks after a mail's signal, in the queue and on the way", async () => {
    const { server, transporter } = faked({ on: { DATA: () => undefined } }, { maxConnections: 1 });
    const controller = new AbortController();
    const { signal } = controller;
    const mails = [1, 2].map(() => transporter.sendMail({ ...MAIL, signal }).catch((error: unknown) => error));
    await server.saw("DATA");
    controller.abort(new Error("changed my mind"));
    for (const error of await Promise.all(mails)) {
      expect(error).toMatchObject({ name: "AbortError", code: "EABORT", cause: signal.reason });
    }
  });

  it("counts what is pending", async () => {
    const server = new FakeServer({ on: { ".": () => undefined } });
    const transport = smtplib({ host: "mail.example.com", transport: server.transport, starttls: "never" });
    const transporter = createTransport(transport);
    open.push(transporter);
    const sent = transporter.sendMail(MAIL);
    await server.saw(".");
    expect(transport.pendingCount()).toBe(1);
    server.say("250 ok\r\n");
    await sent;
    expect(transport.pendingCount()).toBe(0);
  });

  it("takes the options of SMTPPool, and throws at once what is wrong with them", () => {
    expect(new SMTPPool({ host: "mail.example.com", maxConnections: 3 })).toBeInstanceOf(SMTPPool);
    const options: PoolOptions = { host: "mail.example.com", maxConnections: -1 };
    expect(() => smtplib(options)).toThrow("maxConnections");
  });
});
