/** The stores in Redis and PostgreSQL behave alike: tickets, budgets, held messages. */
import Redis from "ioredis";
import pg from "pg";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type OutboxStore, postgresStore, redisStore } from "../../src/outbox/index.ts";
import { describeService } from "./describe-service.ts";
import { type Service, startPostgres, startRedis } from "./services.ts";

type Opened = { readonly store: OutboxStore; close(): Promise<void> };

describeService("redis", () => {
  addTests(async () => {
    const service = await startRedis();
    const client = new Redis(service.port, "127.0.0.1");
    return { store: redisStore(client), close: () => ended(service, async () => client.disconnect()) };
  });
});

describeService("postgresql", () => {
  addTests(async () => {
    const service = await startPostgres();
    const pool = new pg.Pool({ host: "127.0.0.1", port: service.port, user: "postgres", max: 20 });
    // Ignores errors of idle connections when the server ends.
    pool.on("error", () => {});
    const store = postgresStore(pool);
    await Promise.all([store.install(), store.install()]);
    return { store, close: () => ended(service, () => pool.end()) };
  });
});

async function ended(service: Service, disconnect: () => Promise<void>): Promise<void> {
  await disconnect();
  await service.close();
}

function addTests(open: () => Promise<Opened>): void {
  let opened: Opened;
  let keys = 0;
  beforeAll(async () => {
    opened = await open();
  }, 120_000);
  afterAll(() => opened?.close());

  const fresh = (): string => `key ${keys++}`;
  const later = { notAfter: Number.MAX_SAFE_INTEGER };

  it("gives a ticket to one of many that ask at once", async () => {
    const { tickets } = opened.store;
    const key = fresh();
    const tokens = Array.from({ length: 50 }, (_, index) => `token ${index}`);
    const taken = await Promise.all(tokens.map((token) => tickets.take(key, token, later)));
    expect(taken.filter((taking) => taking === "taken")).toHaveLength(1);
    expect(taken.filter((taking) => taking === "refused")).toHaveLength(49);
    const { ticket } = await tickets.read(key);
    expect(ticket?.token).toBe(`token ${taken.indexOf("taken")}`);
  });

  it("knows a token that asks twice, since a reply may be lost", async () => {
    const { tickets } = opened.store;
    const key = fresh();
    expect(await tickets.take(key, "a", later)).toBe("taken");
    expect(await tickets.take(key, "a", later)).toBe("taken");
  });

  it("gives no ticket to an attempt that comes too late by the store's own clock", async () => {
    const { tickets } = opened.store;
    const key = fresh();
    const { now, ticket } = await tickets.read(key);
    expect(ticket).toBeUndefined();
    expect(Math.abs(now - Date.now())).toBeLessThan(60_000);
    expect(await tickets.take(key, "a", { notAfter: now - 1 })).toBe("late");
    expect((await tickets.read(key)).ticket).toBeUndefined();
  });

  it("takes a ticket back from its own token alone", async () => {
    const { tickets } = opened.store;
    const key = fresh();
    await tickets.take(key, "a", later);
    expect(await tickets.giveBack(key, "b")).toEqual({ changed: false, awaited: false });
    expect(await tickets.giveBack(key, "a")).toEqual({ changed: true, awaited: false });
    expect(await tickets.take(key, "b", later)).toBe("taken");
  });

  it("keeps the answer, and tells who writes it that it is awaited", async () => {
    const { tickets } = opened.store;
    const key = fresh();
    await tickets.take(key, "a", later);
    expect(await tickets.await(key)).toBe(true);
    const answer = {
      outcome: "delivered",
      code: 250,
      text: "2.0.0 queued as ü\nsecond line",
      refused: [["__proto__", { code: 450, text: "4.2.0 later" }]],
    } as const;
    expect(await tickets.answer(key, "a", answer)).toEqual({ changed: true, awaited: true });
    expect((await tickets.read(key)).ticket).toMatchObject({ token: "a", answer });
    expect(await tickets.await(key)).toBe(false);
    expect(await tickets.take(key, "b", { ...later, over: "a" })).toBe("refused");
  });

  it("replaces the ticket whose token is named, while nothing says that it was delivered", async () => {
    const { tickets } = opened.store;
    const key = fresh();
    await tickets.take(key, "a", later);
    await tickets.answer(key, "a", { outcome: "unknown", text: "reset", refused: [] });
    expect(await tickets.take(key, "b", { ...later, over: "c" })).toBe("refused");
    expect(await tickets.take(key, "b", { ...later, over: "a" })).toBe("taken");
    expect((await tickets.read(key)).ticket).toMatchObject({ token: "b", answer: undefined });
  });

  it("keeps within a rate, and reserves a time for what is over it", async () => {
    const { budgets } = opened.store;
    const key = fresh();
    const request = { budget: { messages: 5, seconds: 100 }, lease: 60, reserved: false };
    const asked = await Promise.all(Array.from({ length: 8 }, (_, index) => budgets.enter(key, `t${index}`, request)));
    const states = asked.map(({ state }) => state).sort();
    expect(states).toEqual([...Array(5).fill("admitted"), ...Array(3).fill("reserved")]);
    const waits = asked.map(({ wait }) => wait).sort((a, b) => a - b);
    expect(waits.slice(5).map((wait) => Math.round(wait / 20))).toEqual([1, 2, 3]);
    expect(await budgets.enter(key, "t", { ...request, reserved: true })).toEqual({ state: "admitted", wait: 0 });
  });

  it("keeps the place of a message whose lease is renewed, and makes none", async () => {
    const { budgets } = opened.store;
    const key = fresh();
    const request = { budget: { concurrent: 1 }, lease: 0.5, reserved: false };
    expect(await budgets.enter(key, "one", request)).toMatchObject({ state: "admitted" });
    await budgets.renew?.(key, "one", 60);
    await budgets.renew?.(key, "nobody", 60);
    await new Promise((resolve) => setTimeout(resolve, 600));
    expect(await budgets.enter(key, "two", request)).toMatchObject({ state: "busy" });
    await budgets.leave(key, "one");
    expect(await budgets.enter(key, "two", request)).toMatchObject({ state: "admitted" });
  });

  it("lets as many go at a time as may, until one leaves or its lease is over", async () => {
    const { budgets } = opened.store;
    const key = fresh();
    const request = { budget: { concurrent: 3 }, lease: 60, reserved: false };
    const asked = await Promise.all(Array.from({ length: 6 }, (_, index) => budgets.enter(key, `t${index}`, request)));
    expect(asked.filter(({ state }) => state === "admitted")).toHaveLength(3);
    expect(asked.filter(({ state }) => state === "busy")).toHaveLength(3);
    await budgets.leave(key, `t${asked.findIndex(({ state }) => state === "admitted")}`);
    expect(await budgets.enter(key, "late", { ...request, lease: 0 })).toMatchObject({ state: "admitted" });
    expect(await budgets.enter(key, "later", request)).toMatchObject({ state: "admitted" });
  });

  it("pauses a destination, for the longest of the times that were asked for", async () => {
    const { budgets } = opened.store;
    const key = fresh();
    await Promise.all([budgets.pause(key, 100), budgets.pause(key, 10)]);
    const { state, wait } = await budgets.enter(key, "t", { budget: {}, lease: 60, reserved: false });
    expect(state).toBe("wait");
    expect(wait).toBeGreaterThan(50);
    expect(wait).toBeLessThanOrEqual(100);
  });

  it("lists the messages that are held, each once", async () => {
    const { held } = opened.store;
    const one = { id: "one", messageId: "<one@example.com>", reason: "in-flight", since: 1_000 } as const;
    await held.add(one);
    await held.add({ ...one, reason: "lost" });
    expect(await held.list()).toEqual([{ ...one, reason: "lost" }]);
    await held.remove("one");
    await held.remove("one");
    expect(await held.list()).toEqual([]);
  });
}
