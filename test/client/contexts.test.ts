/** The caller's functions run in the `AsyncLocalStorage` context of their call, although calls share a connection. */
import { AsyncLocalStorage, AsyncResource } from "node:async_hooks";
import { Readable } from "node:stream";
import { createMessage } from "@upyo/core";
import { createTransport } from "nodemailer";
import { afterEach, describe, expect, test, vi } from "vitest";
import { type Body, LMTP, SMTP, type SMTPOptions, SMTPPool } from "../../src/index.ts";
import { smtplib } from "../../src/nodemailer/npm.ts";
import { xoauth2 } from "../../src/sasl/index.ts";
import { SmtplibTransport } from "../../src/upyo/index.ts";
import { FakeServer } from "./fake-server.ts";

const store = new AsyncLocalStorage<number>();
const [from, to, host] = ["a@example.com", "b@example.com", "mail.example.com"];
const later = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 1));

afterEach(() => void vi.restoreAllMocks());

/** Bodies that record the contexts in which they are read; each is also released. */
const BODIES: readonly [string, (seen: Set<unknown>) => Body][] = [
  [
    "a generator",
    (seen) =>
      (function* () {
        for (let index = 0; index < 3; index++) {
          seen.add(store.getStore());
          yield "x\r\n";
        }
      })(),
  ],
  [
    "an async generator",
    (seen) =>
      (async function* () {
        for (let index = 0; index < 3; index++) {
          seen.add(store.getStore());
          await later();
          seen.add(store.getStore());
          yield "x\r\n";
        }
      })(),
  ],
  [
    "an iterable",
    (seen): AsyncIterable<string> => ({
      [Symbol.asyncIterator]() {
        seen.add(store.getStore());
        let asked = 0;
        return {
          async next() {
            seen.add(store.getStore());
            return asked++ < 3 ? { done: false, value: "x\r\n" } : { done: true, value: undefined };
          },
        };
      },
    }),
  ],
  [
    "a stream",
    (seen) => {
      let pulled = 0;
      return new ReadableStream(
        {
          async pull(controller) {
            seen.add(store.getStore());
            if (pulled++ === 3) controller.close();
            else controller.enqueue(new TextEncoder().encode("x\r\n"));
          },
        },
        { highWaterMark: 0 },
      );
    },
  ],
];

type Client = {
  sendmail(from: string, to: string, body: Body): Promise<unknown>;
  close(): unknown;
};

const CLIENTS: readonly [string, string[], (options: SMTPOptions) => Client][] = [
  ["SMTP, pipelined", ["PIPELINING"], (options) => new SMTP(host, 25, options)],
  ["SMTP, lock-step", [], (options) => new SMTP(host, 25, options)],
  ["SMTP, by BDAT", ["PIPELINING", "CHUNKING"], (options) => new SMTP(host, 25, options)],
  ["SMTP, eager", ["PIPELINING", "CHUNKING"], (options) => new SMTP(host, 25, { ...options, pipelining: "eager" })],
  ["LMTP", ["PIPELINING"], (options) => new LMTP(host, 24, options)],
  ["a pool", ["PIPELINING"], (options) => new SMTPPool({ host, maxConnections: 1, ...options })],
];

describe.each(CLIENTS)("%s", (_, ehlo, open) => {
  test.each(BODIES)("each of the queued messages reads %s in its own context", async (__, make) => {
    const client = open({ transport: new FakeServer({ ehlo }).transport });
    const seen = [1, 2, 3, 4].map(() => new Set<unknown>());
    await Promise.all(seen.map((set, index) => store.run(index, () => client.sendmail(from, to, make(set)))));
    expect(seen.map((set) => [...set])).toEqual([[0], [1], [2], [3]]);
    await client.close();
  });

  test("a body that is given back, read or not, is so in its own context", async () => {
    const server = new FakeServer({ ehlo, on: { RCPT: (line) => (line.includes("no") ? "550 no" : "250 ok") } });
    const client = open({ transport: server.transport });
    const seen: unknown[] = [];
    const hanging = (): AsyncIterable<string> => ({
      [Symbol.asyncIterator]: () => ({
        next: () => new Promise(() => {}),
        async return() {
          seen.push(store.getStore());
          return { done: true, value: undefined };
        },
      }),
    });
    const outcomes = [
      store.run(1, () => client.sendmail(from, "no@example.com", hanging())),
      // Not the call for which the pool opened the connection.
      store.run(2, () => client.sendmail(from, "no@example.com", hanging())),
      store.run(3, () => client.sendmail(from, to, hanging())),
    ];
    setTimeout(() => server.streams.at(-1)?.abort(), 30);
    await Promise.allSettled(outcomes);
    await later();
    expect(seen).toEqual([1, 2, 3]);
    await client.close();
  });

  test("what is logged of a message is in its context", async () => {
    const seen: [string, unknown][] = [];
    const log = (text: string): void => void seen.push([text, store.getStore()]);
    const logger = { debug: log, info: log, warn: log, error: log };
    const client = store.run(0, () => open({ transport: new FakeServer({ ehlo }).transport, logger }));
    const all = [1, 2, 3].map((number) =>
      store.run(number, () => client.sendmail(`from${number}@example.com`, to, "x\r\n")),
    );
    await Promise.all(all);
    for (const number of [1, 2, 3]) {
      const mail = seen.findIndex(([text]) => text.startsWith(`send: MAIL FROM:<from${number}@`));
      expect(seen[mail]?.[1]).toBe(number);
      expect(seen.filter(([text, context]) => text.startsWith("reply: 250 2.0.0") && context === number)).toHaveLength(
        1,
      );
      expect(seen.filter(([text, context]) => text.startsWith("delivered") && context === number)).toHaveLength(1);
    }
    await client.close();
  });

  test("a message that has no code of the caller's takes no context", async () => {
    const kept = new Set<object>();
    const entered = vi.spyOn(AsyncResource.prototype, "runInAsyncScope").mockImplementation(function (
      this: AsyncResource,
      work: () => unknown,
    ) {
      kept.add(this);
      return work();
    });
    const client = open({ transport: new FakeServer({ ehlo }).transport });
    await Promise.all([1, 2, 3].map(() => client.sendmail(from, to, "x\r\n")));
    // A transport is the caller's code, which a pool may have to call for a message.
    if (client instanceof SMTPPool) expect(kept.size).toBeGreaterThan(0);
    else expect(entered).not.toHaveBeenCalled();
    await client.close();
  });
});

test("data() reads in the context of its call", async () => {
  const smtp = new SMTP(host, 25, { transport: new FakeServer().transport });
  const seen = new Set<unknown>();
  const body = async function* (): AsyncGenerator<string> {
    seen.add(store.getStore());
    yield "x\r\n";
  };
  const calls = [smtp.ehlo(), smtp.mail(from), smtp.rcpt(to), store.run(7, () => smtp.data(body()))];
  await Promise.all(calls);
  expect([...seen]).toEqual([7]);
  smtp.close();
});

describe("authentication that waits behind a message", () => {
  const script = { ehlo: ["AUTH XOAUTH2 PLAIN"], on: { AUTH: "235 ok" }, peer: { loopback: true } };

  test.each<[string, (smtp: SMTP, seen: unknown[]) => Promise<unknown>]>([
    [
      "a token function",
      (smtp, seen) =>
        smtp.auth(
          "XOAUTH2",
          xoauth2({
            user: "ada",
            async token() {
              seen.push(store.getStore());
              await later();
              seen.push(store.getStore());
              return "token";
            },
          }),
        ),
    ],
    [
      "an authobject",
      (smtp, seen) =>
        smtp.auth("PLAIN", () => {
          seen.push(store.getStore());
          return "\0ada\0secret";
        }),
    ],
    [
      "a mechanism",
      (smtp, seen) =>
        smtp.auth("PLAIN", {
          name: "PLAIN",
          clearText: true,
          *start() {
            seen.push(store.getStore());
            yield new TextEncoder().encode("\0ada\0secret");
          },
        }),
    ],
  ])("runs %s in its own context", async (_, authenticate) => {
    const smtp = new SMTP(host, 25, { transport: new FakeServer(script).transport });
    const seen: unknown[] = [];
    const message = store.run(1, () => smtp.sendmail(from, to, ["x\r\n"]));
    const login = store.run(2, () => authenticate(smtp, seen));
    const behind = store.run(3, () => smtp.sendmail(from, to, ["x\r\n"]));
    await Promise.all([message, login, behind]);
    expect(new Set(seen)).toEqual(new Set([2]));
    smtp.close();
  });

  test("connect() calls the transport in its own context", async () => {
    const seen: unknown[] = [];
    const server = new FakeServer();
    const smtp = new SMTP("", 25, {
      transport: (...where) => {
        seen.push(store.getStore());
        return server.transport(...where);
      },
    });
    await store.run(1, () => smtp.connect(host, 25));
    const message = store.run(2, () => smtp.sendmail(from, to, "x\r\n"));
    const again = store.run(3, () => smtp.connect(host, 25));
    await Promise.all([message, again]);
    expect(seen).toEqual([1, 3]);
    smtp.close();
  });
});

test("a pool asks for a token in the context of a message that needs the connection", async () => {
  const seen: unknown[] = [];
  const transport = new FakeServer({ ehlo: ["AUTH XOAUTH2"], on: { AUTH: "235 ok" }, peer: { loopback: true } })
    .transport;
  const token = async (): Promise<string> => {
    seen.push(store.getStore());
    return "token";
  };
  const options = { host, transport, starttls: "never" as const, maxMessages: 1, maxConnections: 1 };
  const pool = store.run(0, () => new SMTPPool({ ...options, auth: { user: "ada", token } }));
  // Each call needs a connection of its own, which is opened when the one before it has ended.
  await Promise.all([1, 2, 3].map((number) => store.run(number, () => pool.sendmail(from, to, "x\r\n"))));
  expect(seen).toEqual([1, 2, 3]);
  await pool.close();
});

describe("plug-ins", () => {
  const transport = (): FakeServer["transport"] => new FakeServer({ ehlo: ["PIPELINING"] }).transport;
  const attachment = (seen: Set<unknown>): Readable =>
    new Readable({
      read() {
        seen.add(store.getStore());
        this.push("x");
        this.push(null);
      },
    });

  test("nodemailer's attachment streams are read in the context of their mail", async () => {
    const transporter = createTransport(smtplib({ host, transport: transport(), maxConnections: 1 }));
    const seen = [1, 2, 3].map(() => new Set<unknown>());
    await Promise.all(
      seen.map((set, index) =>
        store.run(index, () => transporter.sendMail({ from, to, attachments: [{ content: attachment(set) }] })),
      ),
    );
    expect(seen.map((set) => [...set])).toEqual([[0], [1], [2]]);
    transporter.close();
  });

  test("Upyo's messages are read in the context of their call", async () => {
    const upyo = new SmtplibTransport({ host, transport: transport(), maxConnections: 1 });
    const seen = [1, 2, 3].map(() => new Set<unknown>());
    const message = (set: Set<unknown>) =>
      createMessage({
        from,
        to,
        subject: "x",
        content: { text: "x" },
        attachments: [
          {
            inline: false,
            filename: "x",
            contentType: "text/plain",
            contentId: "x",
            content: later().then(() => {
              set.add(store.getStore());
              return new Uint8Array(1);
            }),
          },
        ],
      });
    await Promise.all(seen.map((set, index) => store.run(index, () => upyo.send(message(set)))));
    expect(seen.map((set) => [...set])).toEqual([[0], [1], [2]]);
    await upyo.close();
  });
});
