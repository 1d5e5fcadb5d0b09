/** Messages on their way into a queue, and their bodies. The same tests for BullMQ and pg-boss. */
import { randomUUID } from "node:crypto";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { fileBodies, OutboxUnavailableError } from "../../src/outbox/index.ts";
import { startServer } from "../../src/testing/index.ts";
import { failureOf } from "../servers/failure.ts";
import { envelope, gone, letter, type OutboxContext, soon, wait } from "./outbox-context.ts";
import { until } from "./until.ts";

export function testQueueing(context: OutboxContext): void {
  const { opened } = context;

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
    await context.queues.add(id, { version: 2, id, from: "ada@example.com", to: ["x@example.net"] });
    await outbox.enqueue(envelope, letter);
    await work();
    await server.next();
    expect(await context.queues.waits(id)).toBe(true);
    expect(server.messages).toHaveLength(1);
    expect(await outbox.deadLetters()).toEqual([]);
  });

  it("queues nothing after enqueue() has said that it took too long", async () => {
    const slow = { put: () => wait(400), get: async () => new Uint8Array(), delete: async () => {} };
    const { server, outbox, work } = await opened({}, { timeout: 0.1, inline: 0, bodies: slow });
    await expect(outbox.enqueue(envelope, letter)).rejects.toThrow(OutboxUnavailableError);
    await work();
    await wait(600);
    expect(server.commands.join()).not.toContain("MAIL");
  });

  it("sends to an address once that is there twice", async () => {
    const { server, outbox, work } = await opened();
    await outbox.enqueue({ ...envelope, to: ["a@example.net", { address: "a@example.net" }] }, letter);
    await work();
    expect((await server.next()).to).toEqual(["a@example.net"]);
  });

  it("asks for the destination of a mailbox, whatever its spelling", async () => {
    const { outbox } = await opened({}, { destinationOf: (address) => address.slice(address.lastIndexOf("@") + 1) });
    const to = ["Al <a@EXAMPLE.net>", "<b@example.net>", "c@example.net"];
    const { jobs } = await outbox.enqueue({ ...envelope, to }, letter);
    expect(jobs).toMatchObject([{ destination: "example.net" }]);
  });

  it.each([5, {}, undefined])("refuses the name %o of a message", async (id) => {
    const { outbox } = await opened();
    for (const call of [outbox.redrive, outbox.discard, outbox.resolve]) {
      await expect(Reflect.apply(call, outbox, [id, "delivered"])).rejects.toThrow("id must be a string");
    }
    await expect(Reflect.apply(outbox.deadLetters, outbox, [-1])).rejects.toThrow("start must be a whole number");
    await expect(Reflect.apply(outbox.deadLetters, outbox, [0, "a"])).rejects.toThrow("end must be a number");
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
    const outbox = await context.queues.open({
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
    onTestFinished(() => worker.close());
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

  it("refuses wrong arguments by their names, and queues nothing", async () => {
    const { outbox } = await opened();
    await expect(outbox.enqueue({ from: "a\r\nb", to: ["c@example.net"] }, letter)).rejects.toThrow(RangeError);
    await expect(outbox.enqueue(envelope, letter, { key: "" })).rejects.toThrow("key");
    await expect(outbox.enqueue(envelope, letter, { tenant: "a\0b" })).rejects.toThrow("tenant must not contain NUL");
    await expect(outbox.enqueue(envelope, letter, { priority: 1.5 })).rejects.toThrow("priority");
    await expect(outbox.enqueue(envelope, letter, { expiresAt: new Date(0) })).rejects.toThrow("expiresAt");
    await expect(outbox.enqueue(envelope, letter, { deliverAt: new Date(Number.NaN) })).rejects.toThrow("deliverAt");
    await expect(context.queues.open({ connect: () => ({}), policy: { unknown: "ask" } })).rejects.toThrow("ask");
    await expect(outbox.work({ concurrency: 0 })).rejects.toThrow("options.concurrency");
    await expect(outbox.work({ concurrency: Number.NaN })).rejects.toThrow("options.concurrency");
    await expect(outbox.work({ closeTimeout: -1 })).rejects.toThrow("options.closeTimeout");
    await expect(outbox.work({ closeTimeout: Number.POSITIVE_INFINITY })).rejects.toThrow("options.closeTimeout");
    await expect(Reflect.apply(outbox.work, outbox, [{ signal: "now" }])).rejects.toThrow("options.signal");
    await expect(Reflect.apply(outbox.work, outbox, [{ workers: 5 }])).rejects.toThrow('no option "workers"');
    const misspelled = [envelope, letter, { priorty: 5 }];
    await expect(Reflect.apply(outbox.enqueue, outbox, misspelled)).rejects.toThrow('no option "priorty"');
    const lost = await context.queues.open({ connect: () => ({}), destinationOf: () => "" });
    await expect(lost.enqueue(envelope, letter)).rejects.toThrow("options.destinationOf");
  });

  it("says so when the queue is gone, and goes on by itself when it is back", async () => {
    const { server, outbox, work } = await opened({}, { timeout: 0.5 });
    await work();
    await outbox.enqueue(envelope, letter, { key: "before" });
    await server.next();
    await context.service.kill();
    const error = await failureOf(outbox.enqueue(envelope, letter, { key: "meanwhile" }));
    expect(error).toBeInstanceOf(OutboxUnavailableError);
    await context.service.start();
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
    await context.service.kill();
    await gone();
    const refused = await Promise.all(Array.from({ length: 100 }, () => failureOf(outbox.enqueue(envelope, letter))));
    expect(refused[0]).toBeInstanceOf(OutboxUnavailableError);
    expect(refused[0]).toMatchObject({ message: expect.stringContaining("with a key the call can be repeated") });
    await context.service.start();
    await until(
      () => outbox.enqueue(envelope, letter, { key: "after" }).catch(() => undefined),
      (done) => done !== undefined,
    );
    expect(await context.queues.waiting()).toBe(2);
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
    expect(await context.queues.waiting()).toBe(0);
    expect(kept.size).toBe(0);
  });
}
