/** Bodies that fail, hang or are not needed, and connections that are lost meanwhile (SECURITY.md, rule 6). */
import { describe, expect, test } from "vitest";
import { SMTP } from "../../src/facade/smtp.ts";
import { preparedSession } from "../support/session.ts";
import { FakeServer, type Script } from "./fake-server.ts";

const [from, to] = ["a@example.com", "b@example.com"];

const session = (script: Script = {}) =>
  preparedSession({ ehlo: ["PIPELINING", "8BITMIME"], ...script }, {}, (smtp) => smtp.ehlo());

/** A source that counts the requests for chunks. */
class Source implements AsyncIterable<string> {
  asked = 0;
  returned = 0;
  readonly #next: (index: number) => Promise<string | undefined>;

  constructor(next: (index: number) => Promise<string | undefined>) {
    this.#next = next;
  }

  [Symbol.asyncIterator](): AsyncIterator<string> {
    return {
      next: async () => {
        const value = await this.#next(this.asked++);
        return value === undefined ? { done: true, value } : { done: false, value };
      },
      return: async () => {
        this.returned++;
        return { done: true, value: undefined };
      },
    };
  }
}

const hanging = (): Source => new Source((index) => (index === 0 ? Promise.resolve("first\n") : new Promise(() => {})));
const reasonOf = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => "no rejection",
    (reason: unknown) => reason,
  );

describe("a body that throws", () => {
  test("cuts the connection: no end of data goes out", async () => {
    const { server, smtp } = await session();
    const error = new Error("disk");
    const body = new Source((index) => (index === 0 ? Promise.resolve("first\n") : Promise.reject(error)));
    expect(await reasonOf(smtp.sendmail(from, to, body))).toMatchObject({
      name: "SMTPException",
      delivery: "not-sent",
      cause: error,
    });
    expect(smtp.connected).toBe(false);
    expect(server.writes.join("")).not.toContain("\r\n.\r\n");
    expect(server.messages).toEqual([]);
  });

  test.each<[name: string, body: () => AsyncIterable<string>]>([
    [
      "when it is first asked",
      () => ({
        [Symbol.asyncIterator]: () => {
          throw new Error("locked");
        },
      }),
    ],
    ["at its first chunk", () => new Source(() => Promise.reject(new Error("locked")))],
  ])("%s is reported as the source's failure", async (_, body) => {
    const { smtp } = await session();
    const error = await reasonOf(smtp.sendmail(from, to, body()));
    expect(error).toMatchObject({ name: "SMTPException", delivery: "not-sent" });
    expect(error).toHaveProperty("message", expect.stringContaining("source"));
    expect(error).toHaveProperty("cause.message", "locked");
  });

  test("by being a locked stream is reported as that", async () => {
    const { smtp } = await session();
    const body = new ReadableStream<Uint8Array>();
    body.getReader();
    const error = await reasonOf(smtp.sendmail(from, to, body));
    expect(error).toMatchObject({ delivery: "not-sent" });
    expect(error).toHaveProperty("message", expect.not.stringContaining("connection lost"));
  });
});

describe("a body that is not wanted", () => {
  test.each<[name: string, script: Script]>([
    ["the sender was refused", { on: { MAIL: "550 no", RCPT: "503 no", DATA: "503 no" } }],
    ["all recipients were refused", { on: { RCPT: "550 no", DATA: "554 no" } }],
    ["DATA was refused", { on: { DATA: "451 later" } }],
  ])("is told so by return() without being asked for a chunk: %s", async (_, script) => {
    const { smtp } = await session(script);
    const body = hanging();
    await reasonOf(smtp.sendmail(from, to, body));
    expect(body).toMatchObject({ asked: 0, returned: 1 });
  });

  test("as a stream is cancelled", async () => {
    const { smtp } = await session({ on: { RCPT: "550 no" } });
    let cancelled = false;
    const body = new ReadableStream<Uint8Array>({
      cancel() {
        cancelled = true;
      },
    });
    await reasonOf(smtp.sendmail(from, to, body));
    expect(cancelled).toBe(true);
  });
});

describe("a body that hangs", () => {
  test.each<[name: string, act: (server: FakeServer, smtp: SMTP) => void, expected: object]>([
    [
      "the server refuses early",
      (server) => server.say("552 too big\r\n"),
      { name: "SMTPDataError", smtp_code: 552, delivery: "rejected" },
    ],
    [
      "the server says yes too early",
      (server) => server.say("250 fine\r\n"),
      { name: "SMTPServerDisconnected", delivery: "not-sent" },
    ],
    ["the server says 421", (server) => server.say("421 bye\r\n"), { smtp_code: 421, temporary: true }],
    [
      "the connection dies",
      (server) => server.streams[0]?.abort(),
      { name: "SMTPServerDisconnected", delivery: "not-sent" },
    ],
    [
      "the server ends the connection",
      (server) => void server.streams[0]?.close(),
      { name: "SMTPServerDisconnected", delivery: "not-sent" },
    ],
    ["close() is called", (_, smtp) => smtp.close(), { name: "SMTPServerDisconnected", delivery: "not-sent" }],
  ])("does not hold up the result, and is given up once: %s", async (_, act, expected) => {
    const { server, smtp } = await session();
    const body = hanging();
    const result = reasonOf(smtp.sendmail(from, to, body));
    await server.saw("DATA");
    await new Promise((resolve) => setTimeout(resolve, 5));
    expect(body.asked).toBe(2);
    act(server, smtp);
    expect(await result).toMatchObject(expected);
    expect(body.returned).toBe(1);
    expect(server.writes.join("")).not.toContain("\r\n.\r\n");
    expect(smtp.connected).toBe(false);
  });

  test("ends with the reason of the call's signal", async () => {
    const { server, smtp } = await session();
    const controller = new AbortController();
    const body = hanging();
    const result = reasonOf(smtp.sendmail(from, to, body, [], [], { signal: controller.signal }));
    await server.saw("DATA");
    await new Promise((resolve) => setTimeout(resolve, 5));
    const reason = new Error("enough");
    controller.abort(reason);
    expect(await result).toBe(reason);
    await new Promise((resolve) => setTimeout(resolve, 0));
    expect(body.returned).toBe(1);
  });

  test("ends when the delivery's total time is over", async () => {
    const server = new FakeServer();
    const smtp = await SMTP.connect("x", 25, { transport: server.transport, timeouts: { total: 0.05 } });
    expect(await reasonOf(smtp.sendmail(from, to, hanging()))).toMatchObject({
      name: "SMTPTimeoutError",
      phase: "total",
      delivery: "not-sent",
    });
  });

  test("and calls the session, which would wait for itself, is told so", { timeout: 2000 }, async () => {
    const { smtp } = await session();
    const body = new Source(async () => {
      await smtp.noop();
      return undefined;
    });
    expect(await reasonOf(smtp.sendmail(from, to, body))).toHaveProperty("cause", expect.any(TypeError));
  });
});

describe("octets over 127 in a stream, for a server without 8BITMIME", () => {
  test("end the attempt before they are sent", async () => {
    const { server, smtp } = await session({ ehlo: ["PIPELINING"] });
    const body = new Source(async (index) => ["plain\n", "grün\n"][index]);
    expect(await reasonOf(smtp.sendmail(from, to, body))).toMatchObject({
      name: "SMTPNotSupportedError",
      capability: "8BITMIME",
      delivery: "not-sent",
    });
    expect(server.writes.join("")).not.toContain("gr");
    expect(body.returned).toBe(1);
    expect(smtp.connected).toBe(false);
  });
});

describe("a connection that ends after the end of the data", () => {
  test.each<[name: string, answer: string]>([
    ["without a reply", "close"],
    ["with half a reply", "250 2.0.0 que"],
    ["with no reply that can be read", "nonsense"],
  ])("leaves the outcome unknown: %s", async (_, answer) => {
    const { server, smtp } = await session({ on: { ".": answer === "250 2.0.0 que" ? () => undefined : answer } });
    const result = reasonOf(smtp.sendmail(from, to, "1"));
    if (answer === "250 2.0.0 que") {
      await server.saw(".");
      server.say(answer);
      server.streams[0]?.close();
    }
    expect(await result).toMatchObject({ name: "SMTPServerDisconnected", delivery: "unknown", temporary: true });
  });

  test("leaves the next message, whose envelope was on its way, not sent", async () => {
    const { smtp } = await session({ on: { ".": "close" } });
    const results = [
      reasonOf(smtp.sendmail(from, to, "1")),
      reasonOf(smtp.sendmail(from, to, "2")),
      reasonOf(smtp.sendmail(from, to, "3")),
    ];
    expect(await Promise.all(results)).toEqual([
      expect.objectContaining({ delivery: "unknown" }),
      expect.objectContaining({ delivery: "not-sent" }),
      expect.objectContaining({ delivery: "not-sent" }),
    ]);
  });
});

describe("a write that blocks", () => {
  test("does not keep the server's early answer from being read", async () => {
    const server: FakeServer = new FakeServer({
      memory: { highWaterMark: 10_000 },
      on: {
        DATA: () => {
          const [stream] = server.streams;
          // The server reads no more from here on.
          if (stream !== undefined) stream.read = () => new Promise(() => {});
          return "354 go";
        },
      },
    });
    const smtp = await SMTP.connect("mail.example.com", 25, { transport: server.transport });
    const result = reasonOf(smtp.sendmail(from, to, "x".repeat(1_000_000)));
    await server.until(({ writes }) => writes.some((write) => write.startsWith("xxx")));
    server.say("552 too big\r\n");
    expect(await result).toMatchObject({ smtp_code: 552, delivery: "rejected" });
  });
});

test.each([[["PIPELINING"]], [["CHUNKING"]], [[]]])(
  "a message that waits behind one whose source fails hears that the connection is gone, of a server with %j",
  async (ehlo) => {
    const { smtp } = await session({ ehlo });
    const failing = (function* (): Generator<string> {
      yield "begun";
      throw new Error("the disk is gone");
    })();
    const [first, second] = await Promise.allSettled([
      smtp.sendmail("a@b.c", "d@e.f", failing),
      smtp.sendmail("a@b.c", "d@e.f", "behind it"),
    ]);
    expect(first).toMatchObject({ reason: { cause: { message: "the disk is gone" } } });
    expect(second).toMatchObject({ reason: { name: "SMTPServerDisconnected", delivery: "not-sent" } });
  },
);

test.each([
  ["DATA", { chunking: false }],
  ["BDAT", {}],
])("half a reply while the source of a message by %s pauses ends the session", async (_, options) => {
  const server = new FakeServer({ ehlo: ["CHUNKING"], on: { BDAT: () => "250 go on" } });
  const smtp = new SMTP("mail.example.com", 25, { transport: server.transport, ...options });
  const sent = smtp.sendmail(
    "a@example.com",
    "b@example.com",
    (async function* () {
      yield "hello\r\n";
      await new Promise(() => {});
    })(),
  );
  await server.until(({ lines }) => lines.some((text) => /^(DATA|BDAT)/.test(text)));
  await new Promise((resolve) => setTimeout(resolve, 30));
  server.say("554 5.7.1 sp");
  await expect(sent).rejects.toMatchObject({ name: "SMTPServerDisconnected", delivery: "not-sent" });
  expect(smtp.connected).toBe(false);
});
