/**
 * send_message() with a message in pieces: each kind of body that sendmail() accepts, read into memory; and values that
 * are no messages.
 */
import { Readable } from "node:stream";
import MailComposer from "nodemailer/lib/mail-composer/index.js";
import { afterEach, describe, expect, test } from "vitest";
import { SMTP, SMTPException, SMTPPool } from "../../src/index.ts";
import { FakeServer } from "../client/fake-server.ts";
import { reasonOf, session } from "../support/session.ts";

type Sender = Pick<SMTP, "send_message" | "sendmail">;

const pools: SMTPPool[] = [];
afterEach(() => Promise.all(pools.splice(0).map((pool) => pool.close())));

const SENDERS: [name: string, make: (server: FakeServer) => Promise<Sender>][] = [
  ["SMTP", (server) => SMTP.connect("mail.example.com", 25, { transport: server.transport })],
  [
    "SMTPPool",
    async (server) => {
      const pool = new SMTPPool({ host: "mail.example.com", transport: server.transport });
      pools.push(pool);
      return pool;
    },
  ],
];

const HEADER = "From: a@x.y\r\nTo: b@x.y\r\nBcc: hidden@x.y\r\n\r\n";
const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);
const streamOf = (...chunks: unknown[]): ReadableStream =>
  new ReadableStream({
    start(controller) {
      for (const chunk of chunks) controller.enqueue(chunk);
      controller.close();
    },
  });

async function* later<T>(...chunks: T[]): AsyncGenerator<T> {
  for (const chunk of chunks) {
    await Promise.resolve();
    yield chunk;
  }
}

/** A stream that never yields, and a promise that resolves when it is cancelled. */
function hangingStream(): { stream: ReadableStream; cancelled: Promise<unknown> } {
  let tell: (reason: unknown) => void = () => {};
  const cancelled = new Promise((resolve) => {
    tell = resolve;
  });
  return { stream: new ReadableStream({ cancel: (reason) => tell(reason) }), cancelled };
}

const EMAIL = "\u{1f4e7}";

describe.each(SENDERS)("%s.send_message()", (_, make) => {
  test.each<[name: string, message: () => object, text?: string]>([
    ["an array of texts", () => [HEADER, "text\r\n"]],
    ["an array of bytes and texts", () => [utf8(HEADER), "te", utf8("xt"), "\r\n"]],
    ["an array of promises", () => [Promise.resolve(HEADER), Promise.resolve(utf8("text\r\n"))]],
    ["an array of texts cut inside of a character", () => [HEADER, EMAIL.slice(0, 1), EMAIL.slice(1), "\n"], EMAIL],
    ["a Set", () => new Set([HEADER, "text\r\n"])],
    ["a generator", () => [HEADER, "text\r\n"].values()],
    ["an async generator", () => later<string | Uint8Array>(HEADER, utf8("te"), "xt\r\n")],
    ["an async generator cut inside of a character", () => later(HEADER, EMAIL.slice(0, 1), EMAIL.slice(1)), EMAIL],
    ["a ReadableStream", () => streamOf(utf8(HEADER), utf8("text\r\n"))],
    ["a ReadableStream of texts", () => streamOf(HEADER, "text\r\n")],
    ["a Blob", () => new Blob([HEADER, "text\r\n"])],
    ["a stream of Node's", () => Readable.from([HEADER, Buffer.from("text\r\n")])],
    ["many small pieces", () => [...`${HEADER}text\r\n`]],
    [
      "a message cut inside of its header",
      () => ["Fr", "om: a@x.y\r", "\nTo: b@x.y\r\nBc", "c: hidden@x.y\r\n\r", "\ntext"],
    ],
    [
      "an object whose createReadStream() cuts a character",
      () => ({
        createReadStream: () => Readable.from([HEADER, EMAIL.slice(0, 1), EMAIL.slice(1)]),
      }),
      EMAIL,
    ],
  ])("takes %s, joined as it is", async (_name, message, text = "text") => {
    const server = new FakeServer({ ehlo: ["8BITMIME"] });
    const sender = await make(server);
    expect(await sender.send_message(message())).toEqual({});
    expect(server.lines.filter((line) => line.startsWith("RCPT"))).toEqual(["RCPT TO:<b@x.y>", "RCPT TO:<hidden@x.y>"]);
    expect(server.messages).toEqual([`From: a@x.y\r\nTo: b@x.y\r\n\r\n${text}\r\n`]);
  });

  class Plain {
    subject = "x";
  }

  test.each<[name: string, value: unknown]>([
    ["a plain object", { subject: "x" }],
    ["an object without a prototype", Object.create(null)],
    ["an instance of a class", new Plain()],
    ["a Map", new Map([["subject", "x"]])],
    ["an empty Map", new Map()],
    ["an empty FormData", new FormData()],
    ["an empty URLSearchParams", new URLSearchParams()],
    ["a Date", new Date(0)],
    ["a RegExp", /x/],
    ["a URL", new URL("https://example.com/")],
    ["an Error", new Error("Subject: x\n\ntext")],
    ["a promise", Promise.resolve(HEADER)],
    ["a number", 7],
    ["a boxed number", Object(7)],
    ["null", null],
    ["undefined", undefined],
    ["a function", () => HEADER],
    ["a generator function", later],
    ["an ArrayBuffer", new ArrayBuffer(4)],
    ["a DataView", new DataView(new ArrayBuffer(4))],
    ["a Uint16Array", new Uint16Array(4)],
    ["an array of numbers", [65, 66]],
    ["an array of objects", [{ name: "Subject" }]],
    ["an array of arrays", [[HEADER]]],
    ["an array with a hole", Object.assign([HEADER], { 2: "x" })],
    ["an async generator of numbers", later(65)],
    ["a stream of numbers", Readable.from([65])],
    ["an object whose toString() gives no message", { toString: () => "[Mail]" }],
    ["an object whose toString() gives no text", { toString: () => 7 }],
    ["an object with the toString() of arrays", { toString: Array.prototype.toString }],
    ["an object whose compile() gives itself", { compile: () => /x/ }],
  ])("refuses %s by a TypeError that names msg, before a byte is written", async (_name, value) => {
    const server = new FakeServer();
    const sender = await make(server);
    // @ts-expect-error: a caller without types may pass any value
    const error = await reasonOf(sender.send_message(value, "a@x.y", "b@x.y"));
    expect(error).toBeInstanceOf(TypeError);
    expect(error).toHaveProperty("message", expect.stringMatching(/\bmsg\b/));
    expect(server.lines.filter((line) => /^(MAIL|RCPT|DATA)/.test(line))).toEqual([]);
  });

  test("takes an object whose toString() was bound", async () => {
    const server = new FakeServer();
    const sender = await make(server);
    const own = { toString: (() => `${HEADER}text\n`).bind(undefined) };
    expect(await sender.send_message(own)).toEqual({});
    expect(server.messages).toHaveLength(1);
  });

  test("tells of a source that fails as sendmail() does, and the session goes on", async () => {
    const server = new FakeServer();
    const sender = await make(server);
    const own = new Error("disk");
    async function* failing(): AsyncGenerator<string> {
      yield HEADER;
      throw own;
    }
    const error = await reasonOf(sender.send_message(failing()));
    expect(error).toBeInstanceOf(SMTPException);
    expect(error).toMatchObject({ cause: own, delivery: "not-sent" });
    expect(await sender.send_message(HEADER)).toEqual({});
    expect(server.messages).toHaveLength(1);
  });

  test.each([
    ["aborted meanwhile", (aborting: AbortController) => queueMicrotask(() => aborting.abort(new Error("own")))],
    ["aborted before", (aborting: AbortController) => aborting.abort(new Error("own"))],
  ])("gives a source back when it is %s", async (_name, abort) => {
    const server = new FakeServer();
    const sender = await make(server);
    const aborting = new AbortController();
    const { stream, cancelled } = hangingStream();
    const sending = sender.send_message(stream, "a@x.y", "b@x.y", [], [], { signal: aborting.signal });
    abort(aborting);
    expect(await reasonOf(sending)).toMatchObject({ message: "own" });
    expect(await cancelled).toMatchObject({ message: "own" });
  });
});

test("a source is given back when the session is lost", async () => {
  const { server, smtp } = await session();
  const { stream, cancelled } = hangingStream();
  const sending = smtp.send_message(stream, "a@x.y", "b@x.y");
  await Promise.resolve();
  server.streams[0]?.abort();
  expect(await reasonOf(sending)).toMatchObject({ name: "SMTPServerDisconnected", delivery: "not-sent" });
  await cancelled;
});

test("sendmail() tells who takes the object of a MIME library", async () => {
  const { server, smtp } = await session();
  // @ts-expect-error: it is no body
  const error = await reasonOf(smtp.sendmail("a@x.y", "b@x.y", new MailComposer({ text: "x" })));
  expect(error).toBeInstanceOf(TypeError);
  expect(error).toHaveProperty("message", expect.stringMatching(/^msg .*send_message\(\)/));
  expect(server.lines).toEqual([]);
});

test.each<[name: string, value: object]>([
  ["an empty Map", new Map()],
  ["a Uint16Array", new Uint16Array(4)],
])("sendmail() refuses %s, naming msg, before a byte is written", async (_, value) => {
  const { server, smtp } = await session();
  // @ts-expect-error: it is no body
  const error = await reasonOf(smtp.sendmail("a@x.y", "b@x.y", value));
  expect(error).toBeInstanceOf(TypeError);
  expect(error).toHaveProperty("message", expect.stringMatching(/^msg\b/));
  expect(server.lines).toEqual([]);
});
