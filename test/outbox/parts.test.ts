/** The parts of an outbox that need no queue: messages, bodies, destinations, options. */
import files, { mkdir, mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { makeReply } from "../../src/core/reply.ts";
import { SMTPPool } from "../../src/index.ts";
import { inlineBody, readBody } from "../../src/outbox/body-store.ts";
import { DestinationError, Destinations } from "../../src/outbox/destinations.ts";
import { textOf } from "../../src/outbox/error-fields.ts";
import {
  BodyUnavailableError,
  bullmqOutbox,
  fileBodies,
  parseReport,
  pgBossOutbox,
  postgresStore,
  redisStore,
  retryOf,
  type Sender,
  UnknownMessageError,
} from "../../src/outbox/index.ts";
import { checkEnvelope, identified, type OutboxMessage, readMessage, ticketKey } from "../../src/outbox/message.ts";
import { outboxSettings, timesOf } from "../../src/outbox/options.ts";
import { Outbox } from "../../src/outbox/outbox.ts";
import { storedReply } from "../../src/outbox/stored-reply.ts";
import { failureOf } from "../servers/failure.ts";
import { gate } from "../support/gate.ts";
import { message } from "./lives.ts";
import { MemoryTickets } from "./memory-store.ts";

const octets = (text: string): Uint8Array => new TextEncoder().encode(text);

describe("a queued message", () => {
  it("has a name by its key, and tickets of its own", async () => {
    const settings = outboxSettings({ connect: () => ({ host: "mail.example.com" }) });
    const outbox = new Outbox(settings, new MemoryTickets().store(), "mail");
    const queued: OutboxMessage[] = [];
    for (let time = 0; time < 2; time++) {
      const envelope = { from: "ada@example.com", to: ["charles@example.net"] };
      await outbox.enqueue(
        envelope,
        "Hi!\r\n",
        { key: "order-17" },
        {
          known: async () => new Map(),
          add: async (messages) => {
            queued.push(...messages.map(({ message }) => message));
            return new Map();
          },
        },
      );
    }
    expect(new Set(queued.map(({ id }) => id)).size).toBe(1);
    expect(new Set(queued.map(ticketKey)).size).toBe(2);
  });

  it("is a copy: the caller may write into its memory again before it is queued", async () => {
    const settings = outboxSettings({ connect: () => ({ host: "mail.example.com" }) });
    const outbox = new Outbox(settings, new MemoryTickets().store(), "mail");
    const body = octets("Message-ID: <a@b>\r\n\r\nHi!\r\n");
    const queued: unknown[] = [];
    const call = outbox.enqueue(
      { from: "a@b", to: ["b@c"] },
      body,
      {},
      {
        known: async () => new Map(),
        add: async (messages) => {
          queued.push(...messages.map(({ message }) => message.body));
          return new Map();
        },
      },
    );
    body.fill(65);
    await call;
    expect(queued).toEqual([{ text: "Message-ID: <a@b>\r\n\r\nHi!\r\n" }]);
  });

  it("keeps the Message-ID that it has, folded or not, and gets one otherwise", () => {
    for (const header of ["Message-ID: <a@b>", "MESSAGE-ID:\r\n <a@b>", "Subject: x\nmessage-id : <a@b>"]) {
      expect(identified(`${header}\r\n\r\nHi`, "ada@example.com").messageId).toBe("<a@b>");
    }
    expect(identified("Message-ID: a@b\r\n\r\nHi", "ada@example.com")).toMatchObject({ messageId: "a@b" });
    const { octets: body, messageId } = identified("\r\nMessage-ID: <in@the.body>\r\n", "<ada@example.com>");
    expect(messageId).toMatch(/^<.*@example\.com>$/);
    expect(new TextDecoder().decode(body)).toMatch(/^Message-ID: <[^>]+>\r\n\r\nMessage-ID/);
    expect(identified("", "").messageId).toMatch(/@localhost>$/);
    expect(() => identified(17, "ada@example.com")).toThrow("body");
  });

  it("has each mailbox once, in whatever spelling", () => {
    const to = [
      ...["a@example.net", "Al <a@EXAMPLE.net>", '"a"@example.net', "A@example.net", '"a b"@example.net'],
      ...["<b@münchen.example>", "b@xn--mnchen-3ya.example"],
    ];
    expect(checkEnvelope({ from: "ada@example.com", to }, octets("")).to.map(({ address }) => address)).toEqual([
      ...["a@example.net", "A@example.net", '"a b"@example.net', "<b@münchen.example>"],
    ]);
  });

  it("is refused as a whole by its version, or what it lacks", () => {
    expect(readMessage(message()).id).toBe("one");
    const { from: _, ...half } = message();
    for (const data of [undefined, {}, { ...message(), version: 2 }, half]) {
      expect(() => readMessage(data)).toThrow(UnknownMessageError);
    }
  });

  it("has no options that are moments, and none that belong to one attempt", () => {
    const to = ["charles@example.net"];
    const check = (more: object): unknown =>
      Reflect.apply(checkEnvelope, undefined, [{ from: "a@b", to, ...more }, octets("")]);
    expect(check({ envid: "x" })).toMatchObject({ options: { envid: "x" }, to: [{ address: "charles@example.net" }] });
    for (const name of ["size", "body", "holdFor", "holdUntil"]) expect(() => check({ [name]: 1 })).toThrow(name);
    expect(() => check({ to: [{ address: "a@b", rrvs: { since: new Date() } }] })).toThrow("rrvs");
    expect(() => check({ to: [] })).toThrow("to is empty");
    expect(() => check({ envid: "\r\n" })).toThrow();
  });
});

describe("a body", () => {
  it("comes back out of the queue as it was, as text or as base64", async () => {
    for (const body of [octets("Hi ü\r\n"), octets("Hi\0\r\n"), Uint8Array.of(0xff, 0, 10)]) {
      const stored = inlineBody(body);
      // PostgreSQL accepts no NUL in JSON.
      expect(JSON.stringify(stored)).not.toContain("u0000");
      const queued = { body: JSON.parse(JSON.stringify(stored)), octets: body.length };
      expect(await readBody(queued, undefined)).toEqual(body);
    }
  });

  it("is unavailable for now where the store fails, has none, or is missing", async () => {
    const store = (get: () => Promise<Uint8Array | undefined>) => ({
      put: async () => {},
      get,
      delete: async () => {},
    });
    const named = { body: { name: "x" }, octets: 2 };
    const failures = [
      readBody(named, undefined),
      readBody(
        named,
        store(async () => undefined),
      ),
      readBody(
        named,
        store(() => Promise.reject(new Error("away"))),
      ),
      // One that is truncated, and one that is a text.
      readBody(
        named,
        store(async () => octets("H")),
      ),
      Reflect.apply(readBody, undefined, [named, { ...store(async () => undefined), get: async () => "Hi" }]),
      readBody({ body: { base64: "!" }, octets: 1 }, undefined),
    ];
    for (const failure of failures) {
      const error = await failureOf(failure);
      expect(error).toBeInstanceOf(BodyUnavailableError);
      expect(error).toMatchObject({ temporary: true, delivery: "not-sent" });
    }
  });

  it.each(["the second body cannot be stored", "the queue is away"])("does not stay where %s", async (fault) => {
    const kept = new Map<string, Uint8Array>();
    const isFull = fault.startsWith("the second");
    const bodies = {
      put: async (name: string, body: Uint8Array) => {
        kept.set(name, body);
        if (isFull && kept.size > 1) throw new Error("the disk is full");
      },
      get: async (name: string) => kept.get(name),
      delete: async (name: string) => kept.delete(name),
    };
    const destinationOf = (address: string) => address;
    const settings = outboxSettings({
      connect: () => ({ host: "mail.example.com" }),
      bodies,
      inline: 0,
      destinationOf,
    });
    const outbox = new Outbox(settings, new MemoryTickets().store(), "mail");
    const envelope = { from: "ada@example.com", to: ["charles@example.net", "grace@example.net"] };
    const queue = {
      known: async () => {
        if (!isFull) throw new Error("away");
        return new Map();
      },
      add: () => Promise.reject(new Error("asked for nothing")),
    };
    const failure = await failureOf(outbox.enqueue(envelope, "Hi!\r\n", {}, queue));
    expect(failure).toMatchObject({ cause: { message: isFull ? "the disk is full" : "away" } });
    expect(kept.size).toBe(0);
  });

  it("is a whole file or none, and has no name that leads elsewhere", async () => {
    const folder = await mkdtemp(join(tmpdir(), "smtplib-bodies-"));
    onTestFinished(() => rm(folder, { recursive: true, force: true }));
    const bodies = fileBodies(join(folder, "new"));
    await bodies.put("one", octets("Hi"));
    expect(new TextDecoder().decode(await bodies.get("one"))).toBe("Hi");
    expect(await readdir(join(folder, "new"))).toEqual(["one"]);
    await bodies.delete("one");
    await bodies.delete("one");
    await expect(bodies.get("one")).rejects.toThrow();
    await expect(async () => bodies.get("../secret")).rejects.toThrow(RangeError);
    expect(() => fileBodies("")).toThrow("folder");
  });
});

describe("a body in a file", () => {
  it("is not left half-written where the disk fails", async () => {
    const folder = await mkdtemp(join(tmpdir(), "smtplib-bodies-"));
    onTestFinished(() => rm(folder, { recursive: true, force: true }));
    const bodies = fileBodies(folder);
    await expect(Reflect.apply(bodies.put, bodies, ["one", {}])).rejects.toThrow();
    // A folder with the same name is in the way.
    await mkdir(join(folder, "two", "three"), { recursive: true });
    await expect(bodies.put("two", octets("Hi"))).rejects.toThrow();
    expect(await readdir(folder)).toEqual(["two"]);
  });

  it("has its name on the disk, too, once it is kept", async () => {
    const folder = await mkdtemp(join(tmpdir(), "smtplib-bodies-"));
    onTestFinished(() => rm(folder, { recursive: true, force: true }));
    const open = vi.spyOn(files, "open");
    onTestFinished(() => open.mockRestore());
    await fileBodies(folder).put("one", octets("Hi"));
    expect(open.mock.calls.map(([path]) => path).at(-1)).toBe(folder);
  });
});

describe("a reply", () => {
  it("is stored without control characters and halves of characters, which not every queue takes", () => {
    const text = "5.1.1 no\0such\x1b[31muser\ud800 Jürgen 😀\nsecond\tline";
    const stored = { code: 550, text: "5.1.1 no\\x00such\\x1b[31muser\ufffd Jürgen 😀\nsecond\tline" };
    expect(storedReply(makeReply(550, text.split("\n")))).toEqual(stored);
    expect(textOf(new Error("lost\0"))).toBe("lost\\x00");
  });
});

/** A signal that never fires. */
const running = new AbortController().signal;

describe("the destinations of a worker", () => {
  it("keep the pools that are in use, and of the others the latest", async () => {
    const opened: string[] = [];
    const pools = new Map<string, Sender>();
    const destinations = new Destinations((name) => {
      opened.push(name);
      return { host: "mail.example.com" };
    }, 1);
    const use = (name: string, more = async (): Promise<void> => {}): Promise<void> =>
      destinations.using(name, running, async (pool) => {
        pools.set(name, pool);
        await more();
      });
    await use("a", () => use("b"));
    await use("a");
    expect(opened).toEqual(["a", "b"]);
    const request = { from: "a@example.com", to: ["b@example.net"], body: "" };
    await expect(pools.get("b")?.deliver(request)).rejects.toThrow("the pool is closed");
    await destinations.close();
    await expect(pools.get("a")?.deliver(request)).rejects.toThrow("the pool is closed");
  });

  it("close a pool of the user's own, which several may share, at the end and once", async () => {
    let closed = 0;
    const pool = { deliver: () => Promise.reject(new Error("unused")), close: async () => void closed++ };
    const destinations = new Destinations(() => pool, 1);
    for (const name of ["a", "b", "c"]) await destinations.using(name, running, async () => {});
    expect(closed).toBe(0);
    await destinations.close();
    expect(closed).toBe(1);
  });

  it("keep the pools that the user gives, also those that nobody needs now, since `connect` may give them again", async () => {
    const closed: string[] = [];
    const pools = new Map(
      ["a", "b", "c"].map((name) => {
        return [name, { deliver: () => Promise.reject(new Error("unused")), close: async () => closed.push(name) }];
      }),
    );
    const destinations = new Destinations((name) => pools.get(name) ?? { host: name }, 1);
    for (const name of ["a", "b", "c", "a"]) await destinations.using(name, running, async () => {});
    await new Promise((resolve) => setTimeout(resolve, 10));
    expect(closed).toEqual([]);
    await destinations.close();
    expect(closed).toEqual(["a", "b", "c"]);
  });

  it("ask once for the pool of a destination that the user gives, however many destinations there are", async () => {
    let made = 0;
    const destinations = new Destinations(() => {
      made++;
      return { deliver: () => Promise.reject(new Error("unused")), close: async () => {} };
    }, 1);
    for (const name of ["a", "b", "c", "a", "b", "c"]) await destinations.using(name, running, async () => {});
    expect(made).toBe(3);
    await destinations.close();
  });

  it("close a pool that is given after the end", async () => {
    let isClosed = false;
    const late = gate();
    const destinations = new Destinations(async () => {
      await late.opened;
      const close = async () => {
        isClosed = true;
      };
      return { deliver: () => Promise.reject(new Error("unused")), close };
    }, 5);
    const use = failureOf(destinations.using("a", running, async () => {}));
    await destinations.close();
    expect(await use).toBeInstanceOf(DestinationError);
    late.open();
    await vi.waitFor(() => expect(isClosed).toBe(true));
  });

  it("ask again for a pool that the user has closed", async () => {
    let opened = 0;
    const destinations = new Destinations(() => {
      opened++;
      return new SMTPPool({ host: "mail.example.com" });
    }, 5);
    const deliver = () =>
      destinations.using("a", running, async (pool) => {
        await pool.close();
        return await pool.deliver({ from: "a@example.com", to: ["b@example.net"], body: "" });
      });
    const error = await deliver().catch((error: unknown) => error);
    expect(retryOf(error, 1).action).toBe("retry");
    await deliver().catch(() => {});
    expect(opened).toBe(2);
    await destinations.close();
  });

  it("name no credentials of a pool that is none", async () => {
    const connect = () => "smtps://ada:secret@mx";
    const destinations: Destinations = Reflect.construct(Destinations, [connect, 5]);
    const error = await destinations.using("a", running, async () => {}).catch((error: unknown) => error);
    expect(String(error)).toContain("the result of options.connect must be a pool or its options, not string");
    await destinations.close();
  });

  it("ask again for a destination that could not be opened", async () => {
    let tries = 0;
    const destinations = new Destinations(async () => {
      if (tries++ === 0) throw new Error("no route");
      return { host: "mail.example.com" };
    }, 1);
    await expect(destinations.using("a", running, async () => {})).rejects.toThrow("no route");
    expect(await destinations.using("a", running, async () => "open")).toBe("open");
    await destinations.close();
  });
});

describe("options", () => {
  const connect = () => ({ host: "mail.example.com" });

  it("have names that their errors say", () => {
    expect(outboxSettings({ connect })).toMatchObject({ inline: 16_384, lifetime: 432_000, retention: 86_400 });
    expect(() => outboxSettings({ connect, lifetime: 15 * 86_400 })).toThrow("options.lifetime");
    expect(() => outboxSettings({ connect, timeout: -1 })).toThrow("options.timeout");
    expect(() => Reflect.apply(outboxSettings, undefined, [undefined])).toThrow("options must be an object");
    expect(() => Reflect.apply(outboxSettings, undefined, [{}])).toThrow("options.connect");
    for (const make of [bullmqOutbox, pgBossOutbox]) {
      expect(() => Reflect.apply(make, undefined, [{}, undefined])).toThrow("options must be an object");
    }
  });

  it("may be objects of a class, with more than what is asked for", () => {
    class Rules {
      readonly limits = { messages: 5 };
      tenant = () => this.limits;
      connect() {
        return { host: "mail.example.com" };
      }
    }
    const rules = new Rules();
    expect(outboxSettings({ connect, budgets: rules }).budgets).toBe(rules);
    expect(() => outboxSettings(rules)).not.toThrow();
  });

  it.each([
    ["options", { retension: 5 }],
    ["options.policy", { policy: { delay: 5 } }],
    ["options.budgets", { budgets: { destinations: () => undefined } }],
  ])("of an unknown name are refused: %s", (where, wrong) => {
    expect(() => Reflect.apply(outboxSettings, undefined, [{ connect, ...wrong }])).toThrow(
      expect.objectContaining({
        name: "TypeError",
        message: expect.stringMatching(`there is no option ".*" in ${where}$`),
      }),
    );
  });

  it.each([
    ["store.tickets", { store: {} }],
    ["store.tickets.take", { store: { tickets: { read: async () => {} } } }],
    ["store", { store: "redis" }],
  ])("name what a store lacks: %s", (name, wrong) => {
    for (const make of [bullmqOutbox, pgBossOutbox]) {
      expect(() => Reflect.apply(make, undefined, [{}, { connect, ...wrong }])).toThrow(
        expect.objectContaining({ name: "TypeError", message: expect.stringContaining(`options.${name} `) }),
      );
    }
  });

  it("come with a queue", () => {
    expect(() => Reflect.apply(bullmqOutbox, undefined, ["mail", { connect }])).toThrow("queue must be an object");
    expect(() => Reflect.apply(pgBossOutbox, undefined, [{}, { connect }])).toThrow(
      "boss.createQueue must be a function",
    );
  });

  it.each([
    ["destinationOf", { destinationOf: "relay" }],
    ["ask", { ask: true }],
    ["policy", { policy: "hold" }],
    ["budgets", { budgets: 5 }],
    ["budgets.tenant", { budgets: { tenant: { messages: 5 } } }],
    ["bodies", { bodies: "/var/spool/mail" }],
    ["bodies.get", { bodies: { put: async () => {} } }],
    ["report", { report: "mail.example.com" }],
    ["report.host", { report: {} }],
    ["report.from", { report: { host: "mail.example.com", from: 5 } }],
  ])("of a wrong type are refused: %s", (name, wrong) => {
    expect(() => Reflect.apply(outboxSettings, undefined, [{ connect, ...wrong }])).toThrow(
      expect.objectContaining({ name: "TypeError", message: expect.stringContaining(`options.${name} `) }),
    );
  });

  it.each([{ key: "order-\ud800" }, { tenant: "t\0" }, { deliverAt: new Date(Date.UTC(10_000, 0)) }, { key: "" }])(
    "of a message that no queue can store are refused: %o",
    async (options) => {
      const outbox = new Outbox(outboxSettings({ connect }), new MemoryTickets().store(), "mail");
      const nothing = { known: async () => new Map(), add: () => Promise.reject(new Error("asked for nothing")) };
      const failure = await failureOf(outbox.enqueue({ from: "a@b", to: ["b@c"] }, "Hi!\r\n", options, nothing));
      expect(failure).toMatchObject({
        name: "RangeError",
        message: expect.stringContaining(`${Object.keys(options)[0]} `),
      });
    },
  );

  it.each([
    ["client", redisStore, undefined, {}],
    ["client.evalsha", redisStore, { eval() {} }, {}],
    ["prefixi", redisStore, { eval() {}, evalsha() {} }, { prefixi: "a" }],
    ["options.queue", redisStore, { eval() {}, evalsha() {} }, { queue: 5 }],
    ["client", postgresStore, undefined, {}],
    ["schemaa", postgresStore, { query() {} }, { schemaa: "a" }],
    ["options.queue", postgresStore, { query() {} }, { queue: 5 }],
  ])("of a store are refused: %s", (name, make, client, options) => {
    expect(() => Reflect.apply(make, undefined, [client, options])).toThrow(
      expect.objectContaining({ name: "TypeError", message: expect.stringContaining(name) }),
    );
  });

  it.each([9, 3601, 10.5, "60"])("bound the heartbeat of pg-boss: %o", (heartbeat) => {
    const boss = { createQueue() {}, insert() {}, fetch() {}, touch() {}, getDb: () => ({}) };
    expect(() => Reflect.apply(pgBossOutbox, undefined, [boss, { connect, heartbeat }])).toThrow("options.heartbeat");
  });

  it("bound a message's life", () => {
    const deliverAt = new Date(5000);
    expect(timesOf({ deliverAt }, 10, 1000)).toEqual({ from: 5000, until: 15_000 });
    expect(timesOf({ deliverAt: new Date(0) }, 10, 1000)).toEqual({ from: 1000, until: 11_000 });
    expect(() => timesOf({ expiresAt: new Date(15 * 86_400_000) }, 10, 1000)).toThrow("14 days");
    expect(() => Reflect.apply(timesOf, undefined, [{ deliverAt: "now" }, 10, 1000])).toThrow("deliverAt");
  });
});

describe("parseReport", () => {
  it("reads quoted-printable, and skips what is no field", () => {
    const report = parseReport(
      [
        "Content-Type: multipart/report; x; boundary=b",
        "",
        "--b",
        "Content-Type: message/delivery-status",
        "Content-Transfer-Encoding: quoted-printable",
        "",
        "Reporting-MTA: dns; mx",
        "",
        "no field",
        "Final-Recipient: rfc822; j=C3=BCrgen=40example.n=",
        "et",
        "Status: 4.2.2 (full)",
        "--b--",
      ].join("\r\n"),
    );
    expect(report?.recipients).toMatchObject([{ address: "jürgen@example.net", action: "delayed", status: "4.2.2" }]);
  });
});
