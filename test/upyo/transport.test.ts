/** smtplib/upyo with the real @upyo/core: messages, receipts, and the transport's contract. */
import { createMessage, type Message, type MessageConstructor, type Transport } from "@upyo/core";
import { simpleParser } from "mailparser";
import { afterEach, describe, expect, expectTypeOf, it } from "vitest";
import { type PoolOptions, SMTPRecipientsRefused } from "../../src/index.ts";
import { type SmtplibReceipt, SmtplibTransport } from "../../src/upyo/index.ts";
import { FakeServer, type Script } from "../client/fake-server.ts";
import { startEmbeddedServer } from "../support/embedded-server.ts";

const open: { close(): unknown }[] = [];

afterEach(async () => {
  for (const one of open.splice(0)) await one.close();
});

function faked(script: Script = {}, options: PoolOptions = {}) {
  const server = new FakeServer(script);
  const given = { host: "mail.example.com", transport: server.transport, ...options };
  const transport = new SmtplibTransport(given);
  open.push(transport);
  return { server, transport };
}

function letter(more: Partial<MessageConstructor> = {}): Message {
  return createMessage({
    from: "Ada Lovelace <ada@example.com>",
    to: "Charles <charles@example.net>",
    subject: "Note G – complete",
    content: { text: "Hi!\n.\nA dot.\n", html: "<p>Hi!</p>" },
    ...more,
  });
}

describe("send", () => {
  it("delivers the whole message, encrypted and after a login", async () => {
    const server = await startEmbeddedServer({ auth: { user: "user", password: "password" } });
    open.push(server);
    const auth = { user: "user", password: "password" };
    await using transport = new SmtplibTransport({
      host: "localhost",
      port: server.port,
      auth,
      context: { ca: server.ca },
    });
    const picture = new Uint8Array([0x89, 0x50, 0x4e, 0x47, 0, 0xff, 13, 10, 0x2e, 10]);
    const message = letter({
      cc: "Mary <mary@example.net>",
      bcc: ["hidden@example.net", "charles@example.net"],
      replyTo: "reply@example.com",
      priority: "high",
      headers: { "X-Campaign": "note-g" },
      attachments: [
        new File(["operation,variable\n"], "tablé.csv", { type: "text/csv" }),
        {
          inline: true,
          filename: "engine.png",
          content: Promise.resolve(picture),
          contentType: "image/png",
          contentId: "engine@example.com",
        },
      ],
    });
    const receipt = await transport.send(message);
    expect(receipt).toMatchObject({ successful: true, delivery: { reply: { code: 250 } } });
    const [taken] = server.messages;
    expect(taken).toMatchObject({
      from: "ada@example.com",
      to: ["charles@example.net", "mary@example.net", "hidden@example.net"],
      secure: true,
      user: "user",
    });
    const parsed = await simpleParser(Buffer.from(taken?.content ?? []));
    expect(parsed).toMatchObject({
      subject: "Note G – complete",
      text: "Hi!\n.\nA dot.\n",
      html: "<p>Hi!</p>",
      messageId: receipt.successful && receipt.messageId,
      from: { text: '"Ada Lovelace" <ada@example.com>' },
      cc: { text: '"Mary" <mary@example.net>' },
      replyTo: { text: "reply@example.com" },
    });
    expect(parsed.bcc).toBeUndefined();
    expect(parsed.headers.get("x-campaign")).toBe("note-g");
    expect(parsed.headers.get("priority")).toBe("high");
    const attachments = parsed.attachments.map(({ filename, contentType, contentDisposition, content, cid }) => ({
      ...{ filename, contentType, contentDisposition, content: [...content], cid },
    }));
    expect(attachments).toMatchObject([
      { filename: "engine.png", contentDisposition: "inline", content: [...picture], cid: "engine@example.com" },
      { filename: "tablé.csv", contentType: "text/csv", contentDisposition: "attachment" },
    ]);
  });

  it("takes a message for one of many recipients for a success, and tells of the others", async () => {
    const { transport } = faked({ on: { RCPT: ["250 ok", "550 5.1.1 no"] } });
    const receipt = await transport.send(letter({ to: ["charles@example.net", "nobody@example.net"] }));
    expect(receipt).toMatchObject({
      successful: true,
      delivery: { accepted: ["charles@example.net"], refused: { "nobody@example.net": [550, "5.1.1 no"] } },
    });
  });

  it("gives a receipt for a failure, with a text for each refused recipient, and the error", async () => {
    const { transport } = faked({ on: { RCPT: ["550 5.1.1 no", "450 4.2.0 later"] } });
    const receipt = await transport.send(letter({ to: ["nobody@example.net", "later@example.net"] }));
    expect(receipt).toMatchObject({
      successful: false,
      errorMessages: ["nobody@example.net: 550 5.1.1 no", "later@example.net: 450 4.2.0 later"],
      error: expect.any(SMTPRecipientsRefused),
    });
  });

  it.each<[string, Script, Partial<MessageConstructor>, RegExp]>([
    ["a refused message", { on: { ".": "554 5.7.1 spam" } }, {}, /^554 5\.7\.1 spam$/],
    ["a lost connection", { on: { ".": "close" } }, {}, /^connection lost: /],
    ["an attachment that fails", {}, { attachments: [broken()] }, /^the disk is gone$/],
  ])("gives a receipt for %s", async (_, script, more, text) => {
    const { transport } = faked(script);
    const receipt = await transport.send(letter(more));
    expect(receipt).toMatchObject({ successful: false, errorMessages: [expect.stringMatching(text)] });
  });

  it("sends text alone where there is no HTML, and tells of a failure that is no error", async () => {
    const { server, transport } = faked();
    expect(await transport.send(letter({ content: { text: "Hi!\n" } }))).toMatchObject({ successful: true });
    expect(server.messages[0]).toMatch(/^Content-Type: text\/plain/m);
    expect(server.messages[0]).not.toMatch(/multipart|html/);
    const content = Promise.reject("gone");
    content.catch(() => {});
    const receipt = await transport.send(letter({ attachments: [{ ...broken(), content }] }));
    expect(receipt).toMatchObject({ successful: false, errorMessages: ["gone"], error: "gone" });
    const nobody = await transport.send({ ...letter(), recipients: [] });
    expect(nobody).toMatchObject({ successful: false, errorMessages: [expect.stringMatching(/recipient/)] });
  });

  it("throws at once what is wrong with its options", () => {
    expect(() => new SmtplibTransport({ host: "mail.example.com", maxConnections: -1 })).toThrow("maxConnections");
  });

  it("rejects with the signal's reason when it is aborted, before and on the way", async () => {
    const reason = new Error("changed my mind");
    const { server, transport } = faked({ on: { ".": () => undefined } });
    await expect(transport.send(letter(), { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    const controller = new AbortController();
    const sent = transport.send(letter(), { signal: controller.signal });
    await server.saw(".");
    controller.abort(reason);
    await expect(sent).rejects.toBe(reason);
  });
});

async function collected(receipts: AsyncIterable<SmtplibReceipt>): Promise<SmtplibReceipt[]> {
  const all: SmtplibReceipt[] = [];
  for await (const receipt of receipts) all.push(receipt);
  return all;
}

function broken() {
  const content = Promise.reject(new Error("the disk is gone"));
  content.catch(() => {});
  return { inline: false, filename: "x", content, contentType: "text/plain" as const, contentId: "x@example.com" };
}

describe("sendMany", () => {
  it("gives the receipts in the messages' order, which is also that of the server", async () => {
    const refuse = (line: string): string => (line.includes("user7") ? "550 no" : "250 ok");
    const { server, transport } = faked({ ehlo: ["PIPELINING"], on: { RCPT: refuse } }, { maxConnections: 1 });
    const letters = Array.from({ length: 50 }, (_, index) => letter({ to: `user${index}@example.net` }));
    const receipts = await collected(transport.sendMany(letters));
    expect(receipts.map(({ successful }) => successful)).toEqual(letters.map((_, index) => index !== 7));
    expect(server.lines.filter((line) => line.startsWith("RCPT"))).toEqual(
      letters.map((_, index) => `RCPT TO:<user${index}@example.net>`),
    );
    expect(server.streams).toHaveLength(1);
  });

  it("asks an async iterable for no more than is under way, and gives each receipt at once", async () => {
    const { transport } = faked();
    let asked = 0;
    let closed = false;
    async function* letters(): AsyncGenerator<Message> {
      try {
        for (;;) {
          asked++;
          yield letter({ to: `user${asked}@example.net` });
        }
      } finally {
        closed = true;
      }
    }
    let taken = 0;
    for await (const receipt of transport.sendMany(letters())) {
      expect(receipt.successful).toBe(true);
      if (++taken === 5) break;
    }
    expect(asked).toBeLessThanOrEqual(26);
    expect(closed).toBe(true);
  });

  it("does not wait for the next message to give the receipt of the last one", async () => {
    const { transport } = faked();
    let more = (): void => {};
    const wanted = new Promise<void>((resolve) => {
      more = resolve;
    });
    async function* letters(): AsyncGenerator<Message> {
      yield letter();
      await wanted;
      yield letter();
    }
    const receipts = transport.sendMany(letters())[Symbol.asyncIterator]();
    expect(await receipts.next()).toMatchObject({ value: { successful: true } });
    more();
    expect(await receipts.next()).toMatchObject({ value: { successful: true } });
    expect(await receipts.next()).toMatchObject({ done: true });
  });

  it("ends with what the messages' source throws, or the signal's reason", async () => {
    const { transport } = faked();
    function* letters(): Generator<Message> {
      yield letter();
      throw new Error("no more paper");
    }
    await expect(collected(transport.sendMany(letters()))).rejects.toThrow("no more paper");
    const reason = new Error("changed my mind");
    const aborted = transport.sendMany([letter()], { signal: AbortSignal.abort(reason) });
    await expect(collected(aborted)).rejects.toBe(reason);
  });

  it("ends with the signal's reason while the source, or an attachment, lets it wait", async () => {
    const { transport } = faked();
    const reason = new Error("enough");
    const controller = new AbortController();
    async function* source(): AsyncGenerator<Message> {
      yield letter();
      await new Promise(() => {});
    }
    const receipts: SmtplibReceipt[] = [];
    const waiting = async (): Promise<void> => {
      for await (const receipt of transport.sendMany(source(), { signal: controller.signal })) {
        receipts.push(receipt);
        controller.abort(reason);
      }
    };
    await expect(waiting()).rejects.toBe(reason);
    expect(receipts.map(({ successful }) => successful)).toEqual([true]);

    const attachment = {
      inline: false,
      filename: "endless.txt",
      content: new Promise<Uint8Array>(() => {}),
      contentType: "text/plain" as const,
      contentId: "",
    };
    const another = new AbortController();
    const sent = transport.send(letter({ attachments: [attachment] }), { signal: another.signal });
    another.abort(reason);
    await expect(sent).rejects.toBe(reason);
  });
});

describe("the transport", () => {
  it("is one of Upyo's", () => {
    expectTypeOf<SmtplibTransport>().toExtend<Transport>();
    expectTypeOf<SmtplibTransport>().toExtend<AsyncDisposable>();
  });

  it("takes a connection URL, and says QUIT when it is disposed of", async () => {
    const server = await startEmbeddedServer({ tls: "none" });
    open.push(server);
    {
      await using transport = new SmtplibTransport(`smtp://127.0.0.1:${server.port}`);
      expect(await transport.send(letter())).toMatchObject({ successful: true });
    }
    const { server: fake, transport } = faked();
    await transport.send(letter());
    await transport[Symbol.asyncDispose]();
    expect(fake.lines.at(-1)).toBe("QUIT");
  });
});
