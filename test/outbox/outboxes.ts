/** An outbox on a real queue: the same tests for BullMQ on Redis and for pg-boss on PostgreSQL. */
import { randomUUID } from "node:crypto";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, expect, it, onTestFinished } from "vitest";
import { SMTPPool } from "../../src/index.ts";
import {
  fileBodies,
  type HeldMessage,
  OutboxUnavailableError,
  type OutboxWorker,
  type WorkOptions,
} from "../../src/outbox/index.ts";
import { type Answers, startServer, type TestServer } from "../../src/testing/index.ts";
import { failureOf } from "../servers/failure.ts";
import { MemoryTickets } from "./memory-store.ts";
import { type AnyOptions, type AnyOutbox, connectQueues, type QueueName, type Queues } from "./queues.ts";
import type { Service } from "./services.ts";
import { until } from "./until.ts";

const letter = "Subject: Hello\r\n\r\nHi!\r\n";
const envelope = { from: "ada@example.com", to: ["charles@example.net"] };
/** Delays that are short enough for tests. */
const soon = { first: 0.05, greylisting: 0.05, jitter: 0, longest: 0.1 };

/** Declares the tests. Each queue has a file of its own: most of their time is waiting, which two processes do at once. */
export function testOutbox(name: QueueName, start: () => Promise<Service>): void {
  let service: Service;
  let queues: Queues;
  const workers: OutboxWorker[] = [];

  beforeAll(async () => {
    service = await start();
    queues = await connectQueues(name, service.port);
  }, 120_000);
  afterEach(async () => {
    await Promise.all(workers.splice(0).map((worker) => worker.close()));
  });
  afterAll(async () => {
    await queues?.close();
    await service?.close();
  });

  /** Starts a server, and opens an outbox that sends to it. */
  async function opened(
    answers: Answers = {},
    options: Partial<AnyOptions> = {},
    extensions?: readonly string[],
  ): Promise<{ server: TestServer; outbox: AnyOutbox; work: (options?: WorkOptions) => Promise<OutboxWorker> }> {
    const server = startServer({ answers, ...(extensions && { extensions }) });
    onTestFinished(() => server.close());
    const connect = (): SMTPPool =>
      new SMTPPool({ host: "mail.example.com", transport: server.transport, reconnectFor: 0 });
    const outbox = await queues.open({ connect, policy: soon, ...options });
    const work = async (options: WorkOptions = {}): Promise<OutboxWorker> => {
      // A worker that starts together with its server is refused; a supervisor would start it again.
      const start = () => outbox.work({ concurrency: 5, ...options }).catch(unlessAway);
      const worker = await until(start, (started) => started !== undefined);
      if (worker === undefined) throw new Error("there is no worker");
      workers.push(worker);
      return worker;
    };
    return { server, outbox, work };
  }

  it("delivers what was queued before a worker came, with a Message-ID of its own", async () => {
    const { server, outbox, work } = await opened();
    const { messageId, jobs } = await outbox.enqueue(envelope, letter);
    expect(jobs).toMatchObject([{ destination: "relay", added: true }]);
    await work();
    const message = await server.next();
    expect(message).toMatchObject({ from: "ada@example.com", to: ["charles@example.net"] });
    expect(message.text).toBe(`Message-ID: ${messageId}\r\n${letter}`);
    expect(messageId).toMatch(/^<[0-9a-f-]+@example\.com>$/);
  });

  it("queues a message with the same key once, whatever its Message-ID, and one of another tenant beside it", async () => {
    const { server, outbox, work } = await opened();
    const key = "order-17";
    const first = await outbox.enqueue(envelope, letter, { key });
    const again = await outbox.enqueue(envelope, letter, { key });
    const other = await outbox.enqueue(envelope, letter, { key, tenant: "b" });
    expect([first, again, other].map(({ jobs }) => jobs[0]?.added)).toEqual([true, false, true]);
    await work();
    await Promise.all([server.next(), server.next()]);
    // The key is also known after the delivery.
    expect((await outbox.enqueue(envelope, letter, { key })).jobs[0]?.added).toBe(false);
    await outbox.enqueue(envelope, letter, { key: "last" });
    await server.next();
    expect(server.messages).toHaveLength(3);
  });

  it("names to whoever uses a key again the Message-ID of the message that is queued under it", async () => {
    const { server, outbox, work } = await opened();
    const first = await outbox.enqueue(envelope, letter, { key: "order-17" });
    expect((await outbox.enqueue(envelope, letter, { key: "order-17" })).messageId).toBe(first.messageId);
    await work();
    await server.next();
    expect((await outbox.enqueue(envelope, letter, { key: "order-17" })).messageId).toBe(first.messageId);
  });

  it("says to one alone of those that queue the same message at once that it was added", async () => {
    const { outbox } = await opened();
    const body = `Message-ID: <one@example.com>\r\n${letter}`;
    for (let round = 0; round < 10; round++) {
      const calls = Array.from({ length: 3 }, () => outbox.enqueue(envelope, body, { key: `order-${round}` }));
      const added = (await Promise.all(calls)).map(({ jobs }) => jobs[0]?.added);
      expect(added.filter((isNew) => isNew)).toHaveLength(1);
    }
  });

  it("goes on, whatever characters a server's reply or a body has", async () => {
    const { server, outbox, work } = await opened({
      rcpt: ({ address }) => (address === "gone@example.net" ? "550 5.1.1 no such\0 user" : undefined),
      message: "250 2.0.0 taken\0 as 1",
    });
    const { jobs } = await outbox.enqueue(envelope, `${letter}a\0b\r\n`);
    await outbox.enqueue({ ...envelope, to: ["gone@example.net"] }, letter);
    await work();
    expect((await server.next()).text).toContain("a\0b");
    const dead = await until(
      () => outbox.deadLetters(),
      ({ length }) => length === 1,
    );
    expect(dead[0]?.why).toContain("no such\\x00 user");
    await until(
      () => queues.waits(jobs[0]?.id ?? ""),
      (waits) => !waits,
    );
    expect(server.messages).toHaveLength(1);
  });

  it("tries the recipients that are left, by the same Message-ID, until the last has it", async () => {
    let refusals = 2;
    const { server, outbox, work } = await opened({
      rcpt: ({ address }) => (address === "b@example.net" && refusals-- > 0 ? "450 4.2.0 greylisted" : undefined),
    });
    const { messageId } = await outbox.enqueue({ ...envelope, to: ["a@example.net", "b@example.net"] }, letter);
    await work();
    const messages = [await server.next(), await server.next()];
    expect(messages.map(({ to }) => to)).toEqual([["a@example.net"], ["b@example.net"]]);
    expect(messages.every(({ text }) => text.includes(messageId))).toBe(true);
  });

  it("reports to the sender what is given up, once, and keeps it as a dead letter until it is sent again", async () => {
    let refuse = true;
    const { server, outbox, work } = await opened(
      { rcpt: ({ address }) => (refuse && address === "gone@example.net" ? "550 5.1.1 no such user" : undefined) },
      { report: { host: "mail.example.com" } },
    );
    await outbox.enqueue({ ...envelope, to: ["gone@example.net"], envid: "order-17" }, letter);
    await work();
    const report = await server.next();
    expect(report).toMatchObject({ from: "", to: ["ada@example.com"] });
    expect(report.text).toContain("Original-Envelope-Id: order-17");
    expect(report.text).toContain("Final-Recipient: rfc822; gone@example.net");
    expect(report.text).toContain("Diagnostic-Code: smtp; 550 5.1.1 no such user");
    const dead = await until(
      () => outbox.deadLetters(),
      ({ length }) => length === 1,
    );
    expect(dead).toMatchObject([{ to: ["gone@example.net"], attempts: 1, unknown: false }]);
    refuse = false;
    await outbox.redrive(dead[0]?.id ?? "");
    expect(await server.next()).toMatchObject({ to: ["gone@example.net"] });
    expect(server.messages).toHaveLength(2);
    expect(await outbox.deadLetters()).toEqual([]);
  });

  it("reports nothing to a null reverse path, nor where NOTIFY forbids it", async () => {
    const { server, outbox, work } = await opened(
      { rcpt: ({ address }) => (address === "gone@example.net" ? "550 5.1.1 no such user" : undefined) },
      { report: { host: "mail.example.com" } },
    );
    await outbox.enqueue({ from: "", to: ["gone@example.net"] }, letter);
    await outbox.enqueue({ ...envelope, to: [{ address: "gone@example.net", notify: ["NEVER"] }] }, letter);
    await work();
    await until(
      () => outbox.deadLetters(),
      ({ length }) => length === 2,
    );
    expect(server.messages).toHaveLength(0);
  });

  it("sends a message with the same key once for each queue on the same server, and lists a queue's own held messages", async () => {
    const cut = { end: "close" } as const;
    const one = await opened({ message: cut });
    const first = await one.outbox.enqueue(envelope, letter, { key: "the same" });
    await one.work();
    await until(
      () => one.outbox.held(),
      (held) => held.length > 0,
    );
    const other = await opened();
    const second = await other.outbox.enqueue(envelope, letter, { key: "the same" });
    expect(second.jobs).toMatchObject([{ added: true }]);
    await other.work();
    await other.server.next();
    expect(await other.outbox.held()).toEqual([]);
    expect(await one.outbox.held()).toMatchObject([{ id: first.jobs[0]?.id }]);
  });

  it("holds a message whose reply was lost, and sends it again only when a person says that it did not arrive", async () => {
    const { server, outbox, work } = await opened();
    server.once("message", { end: "close" });
    await outbox.enqueue(envelope, letter);
    await work();
    const [held] = await until(
      () => outbox.held(),
      ({ length }) => length === 1,
    );
    expect(held).toMatchObject({ reason: "lost" });
    expect(server.messages).toHaveLength(1);
    await server.next();
    await outbox.resolve(held?.id ?? "", "not-delivered");
    await server.next();
    expect(await outbox.held()).toEqual([]);
  });

  it("is done with a held message when a person says that it arrived", async () => {
    const { server, outbox, work } = await opened();
    server.once("message", { end: "close" });
    const { jobs } = await outbox.enqueue(envelope, letter);
    const id = jobs[0]?.id ?? "";
    await work();
    await until(
      () => outbox.held(),
      ({ length }) => length === 1,
    );
    await outbox.resolve(id, "delivered");
    await until(
      () => queues.waits(id),
      (waits) => !waits,
    );
    expect(server.messages).toHaveLength(1);
  });

  it("lists no message as held that was delivered, though a worker died before it wrote down that it is held", async () => {
    const shared = new MemoryTickets();
    const store = shared.store();
    let dies = true;
    const held = {
      ...store.held,
      add: async (one: HeldMessage) => {
        await store.held.add(one);
        if (dies) throw new Error("the worker died");
      },
    };
    const { server, outbox, work } = await opened({}, { store: { ...store, held } });
    server.once("message", { end: "close" });
    const { jobs } = await outbox.enqueue(envelope, letter);
    const id = jobs[0]?.id ?? "";
    await work();
    await until(
      () => outbox.held(),
      ({ length }) => length === 1,
    );
    dies = false;
    const [[key, ticket] = ["", undefined]] = shared.entries;
    await store.tickets.answer(key, ticket?.token ?? "", {
      ...{ outcome: "delivered", code: 250, text: "found", refused: [] },
    });
    await until(
      () => queues.waits(id),
      (waits) => !waits,
    );
    await until(
      () => outbox.held(),
      ({ length }) => length === 0,
    );
    expect(server.messages).toHaveLength(1);
  }, 30_000);

  it("puts back what has not passed the point of no return when the worker closes, and finishes the rest", async () => {
    const reached: string[] = [];
    let release = (): void => {};
    const released = new Promise<void>((resolve) => {
      release = resolve;
    });
    const { server, outbox, work } = await opened({
      rcpt: async ({ address }) => {
        if (address === "early@example.net" && !reached.includes("early")) {
          reached.push("early");
          await released;
        }
        return undefined;
      },
      message: async () => {
        if (reached.includes("late")) return undefined;
        reached.push("late");
        await released;
        return undefined;
      },
    });
    await outbox.enqueue({ ...envelope, to: ["late@example.net"] }, letter);
    const worker = await work();
    await until(
      async () => reached,
      (list) => list.includes("late"),
    );
    const { jobs } = await outbox.enqueue({ ...envelope, to: ["early@example.net"] }, letter);
    await until(
      async () => reached,
      (list) => list.includes("early"),
    );
    const closed = worker.close();
    release();
    await closed;
    expect(server.messages.map(({ to }) => to[0])).toEqual(["late@example.net"]);
    expect(await queues.waits(jobs[0]?.id ?? "")).toBe(true);
    await work();
    await server.next();
    expect(await server.next()).toMatchObject({ to: ["early@example.net"] });
  });

  it("keeps large bodies in a store, and removes them when the message is delivered", async () => {
    const folder = await mkdtemp(join(tmpdir(), "smtplib-bodies-"));
    onTestFinished(() => rm(folder, { recursive: true, force: true }));
    const { server, outbox, work } = await opened({}, { bodies: fileBodies(folder), inline: 1000 });
    const large = `${letter}${"x".repeat(70)}\r\n`.repeat(1000);
    await outbox.enqueue(envelope, large, { key: "large" });
    await outbox.enqueue(envelope, large, { key: "large" });
    expect(await readdir(folder)).toHaveLength(1);
    await work();
    expect((await server.next()).text.endsWith(large)).toBe(true);
    await until(
      () => readdir(folder),
      ({ length }) => length === 0,
    );
  });

  it("has removed the body of a message that was delivered when its worker is closed", async () => {
    const kept = new Map<string, Uint8Array>();
    const bodies = {
      put: async (name: string, body: Uint8Array) => kept.set(name, body),
      get: async (name: string) => kept.get(name),
      delete: async (name: string) => {
        await gone();
        kept.delete(name);
      },
    };
    const { server, outbox, work } = await opened({}, { bodies, inline: 0 });
    await outbox.enqueue(envelope, letter);
    const worker = await work();
    await server.next();
    await worker.close();
    expect(kept.size).toBe(0);
  });

  it("tries again when the store of bodies fails", async () => {
    let failures = 2;
    const kept = new Map<string, Uint8Array>();
    const bodies = {
      put: async (name: string, body: Uint8Array) => void kept.set(name, body),
      get: async (name: string) => {
        if (failures-- > 0) throw new Error("the bucket is away");
        return kept.get(name);
      },
      delete: async (name: string) => void kept.delete(name),
    };
    const { server, outbox, work } = await opened({}, { bodies, inline: 0 });
    await outbox.enqueue(envelope, letter);
    await work();
    expect((await server.next()).text).toContain(letter);
    expect(server.messages).toHaveLength(1);
  });

  it("leaves a job of a newer version in the queue", async () => {
    const { server, outbox, work } = await opened();
    const id = randomUUID();
    await queues.add(id, { version: 2, id, from: "ada@example.com", to: ["x@example.net"] });
    await outbox.enqueue(envelope, letter);
    await work();
    await server.next();
    expect(await queues.waits(id)).toBe(true);
    expect(server.messages).toHaveLength(1);
    expect(await outbox.deadLetters()).toEqual([]);
  });

  it("sends for a tenant no more at a time than its budget has, by all workers together", async () => {
    let now = 0;
    let most = 0;
    const { server, outbox, work } = await opened(
      {
        message: async () => {
          now--;
          return undefined;
        },
        data: () => {
          most = Math.max(most, ++now);
          return undefined;
        },
        bdat: () => {
          most = Math.max(most, ++now);
          return undefined;
        },
      },
      { budgets: { tenant: () => ({ concurrent: 1 }) } },
    );
    await Promise.all(Array.from({ length: 4 }, () => outbox.enqueue(envelope, letter, { tenant: "a" })));
    await Promise.all([work(), work()]);
    for (let count = 0; count < 4; count++) await server.next();
    expect(most).toBeLessThanOrEqual(1);
  });

  it("makes a dead letter of a held message whose time is over, and sends it again only after a person has decided", async () => {
    const { server, outbox, work } = await opened({}, { report: { host: "mail.example.com" } });
    server.once("message", { end: "close" });
    await work();
    await outbox.enqueue(envelope, letter, { expiresAt: new Date(Date.now() + 2000) });
    const [dead] = await until(
      () => outbox.deadLetters(),
      ({ length }) => length === 1,
    );
    expect(dead).toMatchObject({ unknown: true, why: expect.stringContaining("unknown") });
    // No report about an unknown outcome.
    expect(server.messages).toHaveLength(1);
    const id = dead?.id ?? "";
    await expect(outbox.redrive(id)).rejects.toThrow("unknown");
    await outbox.resolve(id, "not-delivered");
    await server.next();
    await outbox.redrive(id);
    await server.next();
    expect(server.messages).toHaveLength(2);
  });

  it("keeps the recipients that were not answered before a server closed the session", async () => {
    let closes = true;
    const { server, outbox, work } = await opened({
      rcpt: ({ address }) => {
        if (!closes || address === "ada@example.net") return address === "ada@example.net" ? "550 5.1.1 no" : undefined;
        closes = false;
        return "421 4.3.2 shutting down";
      },
    });
    await outbox.enqueue({ ...envelope, to: ["ada@example.net", "b@example.net", "c@example.net"] }, letter);
    await work();
    expect((await server.next()).to).toEqual(["b@example.net", "c@example.net"]);
  });

  it("queues nothing after enqueue() has said that it took too long", async () => {
    const slow = { put: () => wait(400), get: async () => new Uint8Array(), delete: async () => {} };
    const { server, outbox, work } = await opened({}, { timeout: 0.1, inline: 0, bodies: slow });
    await expect(outbox.enqueue(envelope, letter)).rejects.toThrow(OutboxUnavailableError);
    await work();
    await wait(600);
    expect(server.commands.join()).not.toContain("MAIL");
  });

  it("names the recipients that were given up in a dead letter, each with its own last reply", async () => {
    const { outbox, work } = await opened(
      { rcpt: ({ address }) => (address === "slow@example.net" ? "450 4.2.0 busy" : "550 5.1.1 no such user") },
      { policy: { ...soon, attempts: 2 } },
    );
    await outbox.enqueue({ ...envelope, to: ["slow@example.net", "gone@example.net"] }, letter);
    await work();
    const [letterOf] = await until(
      () => outbox.deadLetters(),
      ({ length }) => length === 1,
    );
    expect(Object.fromEntries(letterOf?.failed ?? [])).toEqual({
      "gone@example.net": { code: 550, text: "5.1.1 no such user" },
      "slow@example.net": { code: 450, text: "4.2.0 busy" },
    });
  });

  it("tells the sender of each recipient that is given up, once each time", async () => {
    const replies = new Map([
      ["slow@example.net", "450 4.2.0 busy"],
      ["gone@example.net", "550 5.1.1 no"],
    ]);
    const { server, outbox, work } = await opened(
      { rcpt: ({ address = "" }) => replies.get(address) },
      { policy: { ...soon, attempts: 2 }, report: { host: "mail.example.com" } },
    );
    await outbox.enqueue({ ...envelope, to: ["slow@example.net", "gone@example.net"] }, letter);
    await work();
    const [first, second] = [await server.next(), await server.next()];
    expect(first.text).toContain("Final-Recipient: rfc822; gone@example.net");
    expect(second.text).toContain("Final-Recipient: rfc822; slow@example.net");
    expect(second.text).not.toContain("gone@example.net>: 550");
    const [dead] = await until(
      () => outbox.deadLetters(),
      ({ length }) => length === 1,
    );
    await outbox.redrive(dead?.id ?? "");
    expect((await server.next()).text).toContain("Final-Recipient: rfc822; gone@example.net");
    expect((await server.next()).text).toContain("Final-Recipient: rfc822; slow@example.net");
  });

  it("gives a message up when its time is over, not with the attempt after that", async () => {
    const { outbox, work } = await opened({ rcpt: "450 4.2.0 busy" }, { policy: { greylisting: 3600, first: 3600 } });
    await outbox.enqueue(envelope, letter, { expiresAt: new Date(Date.now() + 500) });
    await work();
    await until(
      () => outbox.deadLetters(),
      ({ length }) => length === 1,
    );
  });

  it("goes on at once, and counts no attempt, while the server has room for some recipients only", async () => {
    let taken = 0;
    const { server, outbox, work } = await opened(
      {
        mail: () => {
          taken = 0;
          return undefined;
        },
        rcpt: () => (++taken > 2 ? "452 4.5.3 too many recipients" : undefined),
      },
      { policy: { first: 3600, attempts: 1 } },
    );
    const to = Array.from({ length: 7 }, (_, n) => `r${n}@example.net`);
    await outbox.enqueue({ ...envelope, to }, letter);
    await work();
    const parts = await until(
      async () => server.messages.map((message) => message.to),
      (all) => all.length === 4,
    );
    expect(parts.flat()).toEqual(to);
    expect(await outbox.deadLetters()).toEqual([]);
  });

  it("tries the recipients again who were put off, once the others are found to have a message whose reply was lost", async () => {
    let isFirst = true;
    const { server, outbox, work } = await opened({
      rcpt: ({ address }) => (isFirst && address === "slow@example.net" ? "450 4.2.0 busy" : undefined),
      message: () => {
        if (!isFirst) return undefined;
        isFirst = false;
        return { end: "close" };
      },
    });
    const { jobs } = await outbox.enqueue({ ...envelope, to: ["slow@example.net", "b@example.net"] }, letter);
    await work();
    await until(
      () => outbox.held(),
      ({ length }) => length === 1,
    );
    await outbox.resolve(jobs[0]?.id ?? "", "delivered");
    await until(
      async () => server.messages.at(-1)?.to,
      (to) => to?.join() === "slow@example.net",
    );
  });

  it("goes on with a dead letter that is found delivered, for the recipients that were refused before", async () => {
    const replies = new Map([
      ["busy@example.net", "450 4.2.0 busy"],
      ["gone@example.net", "550 5.1.1 no"],
    ]);
    const { server, outbox, work } = await opened(
      {
        rcpt: ({ address = "" }) => replies.get(address),
        message: ({ message }) => (message?.from === "" ? undefined : { end: "close" }),
      },
      { report: { host: "mail.example.com" } },
    );
    const to = ["b@example.net", "busy@example.net", "gone@example.net"];
    const { jobs } = await outbox.enqueue({ ...envelope, to }, letter, { expiresAt: new Date(Date.now() + 1500) });
    await work();
    const [dead] = await until(
      () => outbox.deadLetters(),
      ({ length }) => length === 1,
    );
    expect(dead?.unknown).toBe(true);
    await outbox.resolve(jobs[0]?.id ?? "", "delivered");
    const texts = async (): Promise<string> => server.messages.map(({ text }) => text).join();
    await until(texts, (text) => text.includes("busy@example.net>: 450") && text.includes("gone@example.net>: 550"));
  });

  it("sends to an address once that is there twice", async () => {
    const { server, outbox, work } = await opened();
    await outbox.enqueue({ ...envelope, to: ["a@example.net", { address: "a@example.net" }] }, letter);
    await work();
    expect((await server.next()).to).toEqual(["a@example.net"]);
  });

  it("sends a dead letter again to all who have not got it, whenever they were refused", async () => {
    const { server, outbox, work } = await opened(
      { rcpt: ({ address }) => (address === "gone@example.net" ? "550 5.1.1 no" : "450 4.2.0 busy") },
      { policy: { ...soon, attempts: 2 } },
    );
    await outbox.enqueue({ ...envelope, to: ["gone@example.net", "busy@example.net"] }, letter);
    await work();
    const [dead] = await until(
      () => outbox.deadLetters(),
      ({ length }) => length === 1,
    );
    server.once("rcpt", "250 2.1.5 ok");
    server.once("rcpt", "250 2.1.5 ok");
    await outbox.redrive(dead?.id ?? "");
    expect((await server.next()).to.toSorted()).toEqual(["busy@example.net", "gone@example.net"]);
  });

  it("has the key of a dead letter that is discarded free again", async () => {
    const { server, outbox, work } = await opened();
    server.once("rcpt", "550 5.1.1 no such user");
    await outbox.enqueue(envelope, letter, { key: "order-17" });
    await work();
    const [dead] = await until(
      () => outbox.deadLetters(),
      ({ length }) => length === 1,
    );
    expect(await outbox.enqueue(envelope, letter, { key: "order-17" })).toMatchObject({ jobs: [{ added: false }] });
    await outbox.discard(dead?.id ?? "");
    expect(await outbox.enqueue(envelope, letter, { key: "order-17" })).toMatchObject({ jobs: [{ added: true }] });
    await server.next();
  });

  it("asks for the destination of a mailbox, whatever its spelling", async () => {
    const { outbox } = await opened({}, { destinationOf: (address) => address.slice(address.lastIndexOf("@") + 1) });
    const to = ["Al <a@EXAMPLE.net>", "<b@example.net>", "c@example.net"];
    const { jobs } = await outbox.enqueue({ ...envelope, to }, letter);
    expect(jobs).toMatchObject([{ destination: "example.net" }]);
  });

  it("refuses to resolve a message that nobody has tried yet", async () => {
    const { outbox } = await opened();
    const { jobs } = await outbox.enqueue(envelope, letter, { deliverAt: new Date(Date.now() + 60_000) });
    await expect(outbox.resolve(jobs[0]?.id ?? "", "delivered")).rejects.toThrow("is not held");
  });

  it("puts back a message whose destination is never opened when its worker closes", async () => {
    let isAsked = false;
    const connect = (): Promise<never> => {
      isAsked = true;
      return new Promise(() => {});
    };
    const { outbox, work } = await opened({}, { connect });
    const { jobs } = await outbox.enqueue(envelope, letter);
    const worker = await work();
    await until(async () => isAsked);
    await worker.close();
    expect(await queues.waits(jobs[0]?.id ?? "")).toBe(true);
  });

  it("is rid of a dead letter that a person found to be delivered, or discards", async () => {
    const { server, outbox, work } = await opened({ rcpt: "550 5.1.1 no such user" });
    await outbox.enqueue(envelope, letter);
    await outbox.enqueue(envelope, letter);
    await work();
    const [one, two] = await until(
      () => outbox.deadLetters(),
      ({ length }) => length === 2,
    );
    await outbox.discard(one?.id ?? "");
    await outbox.resolve(two?.id ?? "", "delivered");
    expect(await outbox.deadLetters()).toEqual([]);
    await expect(outbox.discard(one?.id ?? "")).rejects.toThrow();
    await expect(outbox.redrive(randomUUID())).rejects.toThrow("there is no");
    await expect(outbox.resolve(randomUUID(), "delivered")).rejects.toThrow("there is no");
    await expect(outbox.discard("order-17")).rejects.toThrow("there is no");
    await expect(outbox.redrive("order-17")).rejects.toThrow("there is no");
    await expect(outbox.resolve("order-17", "delivered")).rejects.toThrow("there is no");
    expect(server.messages).toHaveLength(0);
  });

  it("says what a message failed for at once, where no server gave a reply", async () => {
    const { server, outbox, work } = await opened({}, { report: { host: "mail.example.com" } }, ["SIZE 5000"]);
    await outbox.enqueue(envelope, `${letter}${"x".repeat(70)}\r\n`.repeat(100));
    await work();
    const report = await server.next();
    expect(report.text).toContain("Status: 5.3.4");
    expect(report.text).toMatch(/Diagnostic-Code: smtp; 554 5\.3\.4 the message has \d+ octets/);
    const [dead] = await outbox.deadLetters();
    expect(dead?.failed).toMatchObject([["charles@example.net", { code: 554 }]]);
  });

  it("gives up a message when it expires, also one that waits for its time in a budget", async () => {
    const { server, outbox, work } = await opened(
      {},
      { budgets: { destination: () => ({ messages: 1, seconds: 86_400 }) } },
    );
    await outbox.enqueue(envelope, letter);
    await work();
    await server.next();
    await outbox.enqueue(envelope, letter, { expiresAt: new Date(Date.now() + 300) });
    const [dead] = await until(
      () => outbox.deadLetters(),
      ({ length }) => length === 1,
    );
    expect(dead?.why).toContain("in time");
  });

  it("sends a message to others while the mailbox of one is full", async () => {
    const { server, outbox, work } = await opened(
      { rcpt: ({ address }) => (address === "full@example.net" ? "452 4.2.2 mailbox full" : undefined) },
      { policy: { first: 3600 } },
    );
    await outbox.enqueue({ ...envelope, to: ["full@example.net"] }, letter);
    await work();
    await until(async () => server.commands.some((command) => command.includes("full@")));
    await outbox.enqueue(envelope, letter);
    expect(await server.next()).toMatchObject({ to: envelope.to });
  });

  it("sends other messages while the body of a report cannot be stored, and the report once it can", async () => {
    let isFull = false;
    const kept = new Map<string, Uint8Array>();
    const bodies = {
      put: async (name: string, body: Uint8Array) => {
        if (isFull) throw new Error("the disk is full");
        kept.set(name, body);
      },
      get: async (name: string) => kept.get(name),
      delete: async (name: string) => kept.delete(name),
    };
    const { server, outbox, work } = await opened(
      { rcpt: ({ address }) => (address === "gone@example.net" ? "550 5.1.1 no such user" : undefined) },
      { bodies, inline: 400, report: { host: "mail.example.com" } },
    );
    const worker = await work({ concurrency: 1 });
    isFull = true;
    await outbox.enqueue({ ...envelope, to: ["gone@example.net"] }, letter);
    await outbox.enqueue(envelope, letter);
    expect(await server.next()).toMatchObject({ to: envelope.to });
    isFull = false;
    expect(await server.next()).toMatchObject({ from: "", to: [envelope.from] });
    await worker.close();
    expect(await outbox.deadLetters()).toMatchObject([{ why: expect.stringContaining("550 5.1.1 no such user") }]);
    expect(kept.size).toBe(0);
  }, 30_000);

  it.each([5, {}, undefined])("refuses the name %o of a message", async (id) => {
    const { outbox } = await opened();
    for (const call of [outbox.redrive, outbox.discard, outbox.resolve]) {
      await expect(Reflect.apply(call, outbox, [id, "delivered"])).rejects.toThrow("id must be a string");
    }
    await expect(Reflect.apply(outbox.deadLetters, outbox, [-1])).rejects.toThrow("start must be a whole number");
    await expect(Reflect.apply(outbox.deadLetters, outbox, [0, "a"])).rejects.toThrow("end must be a number");
  });

  it("gives up what is not delivered in time, and says by which reply", async () => {
    const { server, outbox, work } = await opened(
      { rcpt: ({ address }) => (address === "slow@example.net" ? "451 4.7.1 come back later" : undefined) },
      { report: { host: "mail.example.com", from: "postmaster@mail.example.com" } },
    );
    await work();
    await outbox.enqueue({ ...envelope, to: ["slow@example.net"] }, letter, { expiresAt: new Date(Date.now() + 2000) });
    const report = await server.next();
    expect(report.text).toContain("Diagnostic-Code: smtp; 451 4.7.1 come back later");
    expect(report.text).toContain("postmaster@mail.example.com");
  });

  it("delivers no earlier than it is told to", async () => {
    const { server, outbox, work } = await opened();
    const deliverAt = new Date(Date.now() + 1000);
    await work();
    await outbox.enqueue(envelope, letter, { deliverAt, key: "later" });
    expect(await server.next()).toMatchObject({ to: ["charles@example.net"] });
    expect(Date.now()).toBeGreaterThanOrEqual(deliverAt.getTime());
  });

  it("queues a message once for each destination, and sends none to one that refuses sessions for a while", async () => {
    const server = startServer();
    const closed = startServer({ answers: { connect: "421 4.3.2 closed" } });
    onTestFinished(() => Promise.all([server.close(), closed.close()]).then(() => {}));
    const outbox = await queues.open({
      connect: (destination) => ({
        ...{ host: destination, reconnectFor: 0 },
        transport: destination === "closed.example" ? closed.transport : server.transport,
      }),
      destinationOf: (address) => address.slice(address.lastIndexOf("@") + 1),
      policy: { ...soon, longest: 1000 },
    });
    const to = ["a@open.example", "b@closed.example", "c@open.example"];
    const { jobs } = await outbox.enqueue({ ...envelope, to }, letter);
    expect(jobs.map(({ destination }) => destination)).toEqual(["open.example", "closed.example"]);
    const worker = await outbox.work({ concurrency: 1 });
    workers.push(worker);
    expect(await server.next()).toMatchObject({ to: ["a@open.example", "c@open.example"] });
    await until(
      async () => closed.connections,
      (connections) => connections === 1,
    );
    await outbox.enqueue({ ...envelope, to: ["d@closed.example"] }, letter);
    await outbox.enqueue({ ...envelope, to: ["e@open.example"] }, letter);
    await server.next();
    expect(closed.connections).toBe(1);
  });

  it("closes a worker whose signal is aborted", async () => {
    const { server, outbox } = await opened();
    const stop = new AbortController();
    const worker = await outbox.work({ signal: stop.signal });
    await outbox.enqueue(envelope, letter);
    await server.next();
    stop.abort();
    await worker.close();
    const { jobs } = await outbox.enqueue(envelope, letter);
    expect(await queues.waits(jobs[0]?.id ?? "")).toBe(true);
    expect(server.messages).toHaveLength(1);
    await expect(outbox.work({ signal: stop.signal })).rejects.toBe(stop.signal.reason);
  });

  it("refuses wrong arguments by their names, and queues nothing", async () => {
    const { outbox } = await opened();
    await expect(outbox.enqueue({ from: "a\r\nb", to: ["c@example.net"] }, letter)).rejects.toThrow(RangeError);
    await expect(outbox.enqueue(envelope, letter, { key: "" })).rejects.toThrow("key");
    await expect(outbox.enqueue(envelope, letter, { tenant: "a\0b" })).rejects.toThrow("tenant must not contain NUL");
    await expect(outbox.enqueue(envelope, letter, { priority: 1.5 })).rejects.toThrow("priority");
    await expect(outbox.enqueue(envelope, letter, { expiresAt: new Date(0) })).rejects.toThrow("expiresAt");
    await expect(outbox.enqueue(envelope, letter, { deliverAt: new Date(Number.NaN) })).rejects.toThrow("deliverAt");
    await expect(queues.open({ connect: () => ({}), policy: { unknown: "ask" } })).rejects.toThrow("ask");
    await expect(outbox.work({ concurrency: 0 })).rejects.toThrow("options.concurrency");
    await expect(outbox.work({ concurrency: Number.NaN })).rejects.toThrow("options.concurrency");
    await expect(outbox.work({ closeTimeout: -1 })).rejects.toThrow("options.closeTimeout");
    await expect(outbox.work({ closeTimeout: Number.POSITIVE_INFINITY })).rejects.toThrow("options.closeTimeout");
    await expect(Reflect.apply(outbox.work, outbox, [{ signal: "now" }])).rejects.toThrow("options.signal");
    await expect(Reflect.apply(outbox.work, outbox, [{ workers: 5 }])).rejects.toThrow('no option "workers"');
    const misspelled = [envelope, letter, { priorty: 5 }];
    await expect(Reflect.apply(outbox.enqueue, outbox, misspelled)).rejects.toThrow('no option "priorty"');
    const lost = await queues.open({ connect: () => ({}), destinationOf: () => "" });
    await expect(lost.enqueue(envelope, letter)).rejects.toThrow("options.destinationOf");
  });

  it("says so when the queue is gone, and goes on by itself when it is back", async () => {
    const { server, outbox, work } = await opened({}, { timeout: 0.5 });
    await work();
    await outbox.enqueue(envelope, letter, { key: "before" });
    await server.next();
    await service.kill();
    const error = await failureOf(outbox.enqueue(envelope, letter, { key: "meanwhile" }));
    expect(error).toBeInstanceOf(OutboxUnavailableError);
    await service.start();
    // The same key: the call above may have been too late, or not.
    await until(
      () => outbox.enqueue(envelope, letter, { key: "meanwhile" }).catch(() => undefined),
      (done) => done !== undefined,
    );
    await server.next();
    expect(server.messages).toHaveLength(2);
  }, 120_000);

  it("queues nothing of what it refused while the queue was gone once that is back", async () => {
    const { outbox } = await opened({}, { timeout: 0.1 });
    await outbox.enqueue(envelope, letter, { key: "before" });
    await service.kill();
    await gone();
    const refused = await Promise.all(Array.from({ length: 100 }, () => failureOf(outbox.enqueue(envelope, letter))));
    expect(refused[0]).toBeInstanceOf(OutboxUnavailableError);
    expect(refused[0]).toMatchObject({ message: expect.stringContaining("with a key the call can be repeated") });
    await service.start();
    await until(
      () => outbox.enqueue(envelope, letter, { key: "after" }).catch(() => undefined),
      (done) => done !== undefined,
    );
    expect(await queues.waiting()).toBe(2);
  }, 120_000);

  it("queues nothing, and keeps no body, where the store of bodies took longer than the call", async () => {
    const kept = new Map<string, Uint8Array>();
    const bodies = {
      put: async (name: string, body: Uint8Array) => {
        await gone();
        kept.set(name, body);
      },
      get: async (name: string) => kept.get(name),
      delete: async (name: string) => void kept.delete(name),
    };
    const { outbox } = await opened({}, { bodies, inline: 0, timeout: 0.1 });
    expect(await failureOf(outbox.enqueue(envelope, letter))).toBeInstanceOf(OutboxUnavailableError);
    await gone();
    expect(await queues.waiting()).toBe(0);
    expect(kept.size).toBe(0);
  });

  it("closes a worker within closeTimeout while the queue is gone, and another one goes on", async () => {
    const { server, outbox, work } = await opened({}, { timeout: 0.5 });
    const worker = await work({ closeTimeout: 0.3 });
    await outbox.enqueue(envelope, letter, { key: "before" });
    await server.next();
    await service.kill();
    await gone();
    await worker.close();
    await service.start();
    await work();
    await until(
      () => outbox.enqueue(envelope, letter, { key: "after" }).catch(() => undefined),
      (done) => done !== undefined,
    );
    await server.next();
  }, 120_000);

  it("closes a worker whose sender heeds no signal, and puts back what it was asked to send", async () => {
    let isAsked = false;
    const deaf = {
      deliver: () => {
        isAsked = true;
        return new Promise<never>(() => {});
      },
      close: async () => {},
    };
    const { outbox, work } = await opened({}, { connect: () => deaf });
    const { jobs } = await outbox.enqueue(envelope, letter);
    const worker = await work({ closeTimeout: 0.1 });
    await until(async () => isAsked);
    await worker.close();
    expect(await queues.waits(jobs[0]?.id ?? "")).toBe(true);
    expect(await outbox.held()).toEqual([]);
  });

  it("closes a worker when the queue is back", async () => {
    const { server, outbox, work } = await opened({}, { timeout: 0.5 });
    const worker = await work();
    await outbox.enqueue(envelope, letter);
    await server.next();
    await service.kill();
    await gone();
    const closed = worker.close();
    await service.start();
    await closed;
  }, 120_000);

  it("gives up the reply of a silent server after closeTimeout, and holds the message", async () => {
    let isReached = false;
    const stall = { end: "stall" } as const;
    const { outbox, work } = await opened({
      message: () => {
        isReached = true;
        return stall;
      },
    });
    const { jobs } = await outbox.enqueue(envelope, letter);
    const worker = await work({ closeTimeout: 0.2 });
    await until(async () => isReached);
    await worker.close();
    await work();
    await until(
      () => outbox.held(),
      (held) => held.some(({ id }) => id === jobs[0]?.id),
    );
  }, 60_000);
}

/** Returns undefined if the queue is unavailable. @throws any other error */
function unlessAway(error: unknown): undefined {
  if (!(error instanceof OutboxUnavailableError)) throw error;
}

function wait(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

/** Waits long enough for each client to notice the end of its server, and to try again. */
function gone(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 250));
}
