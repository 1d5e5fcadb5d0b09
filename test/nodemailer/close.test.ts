/**
 * `close()` sends the accepted mails: those of `send()`, and those of nodemailer's `sendMail()`, which may still be
 * built then.
 */
import { Readable } from "node:stream";
import { createTransport, type SendMailOptions } from "nodemailer";
import { afterEach, describe, expect, it, vi } from "vitest";
import type { Mail } from "../../src/nodemailer/mail.ts";
import { smtplib } from "../../src/nodemailer/npm.ts";
import { FakeServer, type Script } from "../client/fake-server.ts";
import { startEmbeddedServer } from "../support/embedded-server.ts";

const MAIL: SendMailOptions = { from: "ada@example.com", to: "charles@example.net", text: "Hi!" };
const IMAGE = '<img src="data:image/png;base64,AAAA">';

function faked(script: Script = {}) {
  const server = new FakeServer(script);
  const transport = smtplib({ host: "mail.example.com", transport: server.transport, starttls: "never" });
  return { server, transport };
}

const later = (): Readable =>
  Readable.from(
    (async function* () {
      await new Promise((resolve) => setTimeout(resolve, 30));
      yield "late";
    })(),
  );

/** A mail as nodemailer passes it. */
function mailOf(): Mail {
  return {
    data: {},
    message: {
      getEnvelope: () => ({ from: "ada@example.com", to: ["charles@example.net"] }),
      messageId: () => "<1@example.com>",
      createReadStream: () => Readable.from(["Hi!"]),
    },
  };
}

afterEach(() => {
  vi.useRealTimers();
});

describe("what was taken before close() is sent", () => {
  it("by send() with a callback", async () => {
    const { server, transport } = faked();
    const outcome = new Promise((resolve) => transport.send(mailOf(), (error, info) => resolve(error ?? info)));
    await transport.close();
    expect(server.messages).toHaveLength(1);
    expect(await outcome).toMatchObject({ accepted: ["charles@example.net"] });
  });

  it.each<[string, () => SendMailOptions]>([
    ["a plain mail", () => MAIL],
    ["a mail with an attachment that comes later", () => ({ ...MAIL, attachments: [{ content: later() }] })],
    ["a mail whose images nodemailer takes out", () => ({ ...MAIL, html: IMAGE, attachDataUrls: true })],
    ["a mail whose HTML comes later", () => ({ ...MAIL, html: later(), attachDataUrls: true })],
    ["a mail that wants reports which the server has not", () => ({ ...MAIL, dsn: { notify: "failure" } })],
  ])("by sendMail(): %s", async (_, mail) => {
    const { server, transport } = faked();
    const transporter = createTransport(transport);
    const outcomes = [
      transporter.sendMail(mail()),
      new Promise((resolve) => transporter.sendMail(mail(), (error, info) => resolve(error ?? info))),
    ];
    await transporter.close();
    expect(server.messages).toHaveLength(2);
    for (const info of await Promise.all(outcomes)) expect(info).toMatchObject({ accepted: ["charles@example.net"] });
  });

  it("by sendMail() that a plug-in keeps waiting, over sockets", async () => {
    await using server = await startEmbeddedServer({ tls: "none" });
    const transporter = createTransport(smtplib({ host: server.host, port: server.port, starttls: "never" }));
    transporter.use("compile", (_, done) => void setTimeout(done, 50));
    transporter.use("stream", (_, done) => void setTimeout(done, 50));
    const sent = transporter.sendMail(MAIL);
    await transporter.close();
    expect(server.messages).toHaveLength(1);
    expect(await sent).toMatchObject({ rejected: [] });
  });

  it("and a mail that could not be built does not hold it up", async () => {
    const { transport } = faked();
    const transporter = createTransport(transport);
    transporter.use("compile", (_, done) => void setTimeout(() => done(new Error("no")), 20));
    const failed = transporter.sendMail(MAIL).catch((error: unknown) => error);
    const given: unknown[] = [];
    transporter.sendMail(MAIL, (error) => given.push(error));
    await transporter.close();
    expect(await failed).toMatchObject({ message: "no" });
    expect(given).toMatchObject([{ message: "no" }]);
  });
});

describe("what comes after close()", () => {
  const REFUSED = {
    code: "ECONNECTION",
    message: "Connection pool was closed",
    delivery: "not-sent",
    temporary: false,
  };

  it("is refused, by promise and by callback, while others are still being sent", async () => {
    const { server, transport } = faked({ on: { ".": () => undefined } });
    const transporter = createTransport(transport);
    const sent = transporter.sendMail(MAIL);
    await server.saw(".");
    const closed = transporter.close();
    await expect(transporter.sendMail(MAIL)).rejects.toMatchObject(REFUSED);
    expect(await new Promise((resolve) => transporter.sendMail(MAIL, resolve))).toMatchObject(REFUSED);
    expect(await new Promise((resolve) => transport.send(mailOf(), resolve))).toMatchObject(REFUSED);
    server.say("250 ok\r\n");
    expect(await sent).toMatchObject({ rejected: [] });
    await closed;
    expect(server.messages).toHaveLength(1);
    await expect(transporter.sendMail(MAIL)).rejects.toMatchObject(REFUSED);
    expect(await new Promise((resolve) => transport.send(mailOf(), resolve))).toMatchObject(REFUSED);
  });

  it("and close() again, waits for the same end", async () => {
    const { server, transport } = faked();
    const sent = new Promise((resolve) => transport.send(mailOf(), resolve));
    await Promise.all([transport.close(), transport.close()]);
    expect(server.lines.filter((line) => line === "QUIT")).toHaveLength(1);
    await sent;
  });
});

describe("a mail whose plug-in never calls back", () => {
  const REFUSED = { code: "ECONNECTION", message: "Connection pool was closed", delivery: "not-sent" };

  it.each([false, true])("is refused 30 s after close(), at once with force (%s)", async (force) => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    const { server, transport } = faked();
    const transporter = createTransport(transport);
    let go = (): void => {};
    transporter.use("compile", (_, done) => {
      go = () => done();
    });
    const given: unknown[] = [];
    transporter.sendMail(MAIL, (error) => given.push(error));
    const sent = transporter.sendMail(MAIL).catch((error: unknown) => error);
    const ends = transport.close({ force });
    if (!force) await vi.advanceTimersByTimeAsync(30_000);
    await ends;
    expect(await sent).toMatchObject(REFUSED);
    expect(given).toMatchObject([REFUSED]);
    vi.useRealTimers();
    go();
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(server.messages).toHaveLength(0);
    expect(given).toHaveLength(1);
  });

  it("keeps no place for mails that are given to send(), which do not end the wait for it either", async () => {
    const { server, transport } = faked();
    const transporter = createTransport(transport);
    transporter.use("compile", (_, done) => void setTimeout(done, 100));
    const createReadStream = async function* () {
      await new Promise((resolve) => setTimeout(resolve, 300));
      yield "Hi!";
    };
    const slow: Mail = { ...mailOf(), message: { ...mailOf().message, createReadStream } };
    const direct = [1, 2].map(() => new Promise((resolve) => transport.send(slow, (error) => resolve(error))));
    const sent = transporter.sendMail(MAIL);
    const closing = transport.close();
    expect(await new Promise((resolve) => transport.send(mailOf(), resolve))).toMatchObject(REFUSED);
    expect(await sent).toMatchObject({ accepted: ["charles@example.net"] });
    expect(await Promise.all(direct)).toEqual([null, null]);
    await closing;
    expect(server.messages).toHaveLength(3);
  });
});

describe("close() with force", () => {
  it("drops what is being sent, also where a close() before it waits for that", async () => {
    const { server, transport } = faked({ on: { ".": () => undefined } });
    const transporter = createTransport(transport);
    const sent = transporter.sendMail(MAIL).catch((error: unknown) => error);
    await server.saw(".");
    const waiting = transport.close();
    await transport.close({ force: true });
    await waiting;
    expect(await sent).toMatchObject({ code: "ECONNECTION", message: "Connection pool was closed" });
  });

  it("does not wait for a mail that is being built", async () => {
    const { transport } = faked();
    const transporter = createTransport(transport);
    let go = (): void => {};
    transporter.use("compile", (_, done) => {
      go = () => done();
    });
    const sent = transporter.sendMail(MAIL).catch((error: unknown) => error);
    await transport.close({ force: true });
    go();
    expect(await sent).toMatchObject({ code: "ECONNECTION" });
  });
});

describe("with timers of a test's own", () => {
  const TIMERS = ["setTimeout", "setInterval", "setImmediate", "performance", "Date"] as const;

  it("mails are sent and verified, and close() ends", async () => {
    const { server, transport } = faked();
    vi.useFakeTimers({ toFake: [...TIMERS] });
    await new Promise<void>((resolve) => transport.on("idle", () => resolve()));
    const send = (mail: Mail): Promise<unknown> =>
      new Promise((resolve) => transport.send(mail, (error, info) => resolve(error ?? info)));
    expect(await send(plainMail())).toMatchObject({ accepted: ["charles@example.net"] });
    expect(await transport.verify()).toBe(true);
    await transport.close();
    expect(server.messages).toHaveLength(1);
  });

  it("a mail that cannot be sent is refused, and the transport is idle, without queueMicrotask() too", async () => {
    vi.useFakeTimers({ toFake: [...TIMERS, "queueMicrotask"] });
    const { transport } = faked();
    await new Promise<void>((resolve) => transport.on("idle", () => resolve()));
    const error = await new Promise((resolve) => transport.send(plainMail([]), resolve));
    expect(error).toMatchObject({ code: "EENVELOPE" });
    await transport.close();
  });

  /** A mail without Node streams, which need the real timers. */
  function plainMail(to = ["charles@example.net"]): Mail {
    const mail = mailOf();
    const getEnvelope = (): object => ({ from: "ada@example.com", to });
    const createReadStream = async function* () {
      yield "Hi!";
    };
    return { ...mail, message: { ...mail.message, getEnvelope, createReadStream } };
  }
});
