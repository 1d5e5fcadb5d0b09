/**
 * Permanent refusals of new connections while others are open: the open ones continue, and the pool tries more later.
 */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { PoolOptions } from "../../src/pool/options.ts";
import type { Script } from "../client/fake-server.ts";
import { settled, watchForLeaks } from "../hostile/scenario.ts";
import { outcome, pooled, said, send } from "./pool.ts";

const OPTIONS: PoolOptions = { auth: { user: "user", password: "password" }, starttls: "never" };

watchForLeaks();

/** A server with a login. */
function script(auth: () => string, mail: (line: string) => string = () => "250 ok"): Script {
  return { peer: { loopback: true }, ehlo: ["AUTH PLAIN"], on: { AUTH: auth, MAIL: mail } };
}

/** Replies 421 to the first sender with this name. */
function tiredOf(name: string): (line: string) => string {
  let tired = false;
  return (line) => {
    if (tired || !line.includes(name)) return "250 ok";
    tired = true;
    return "421 4.3.2 bye";
  };
}

async function open(pool: ReturnType<typeof pooled>["pool"], connections: number): Promise<void> {
  await send(pool, "first");
  await Promise.all(Array.from({ length: connections }, (_, index) => outcome(send(pool, `open${index}`))));
}

describe("a login that is refused while other connections are open", () => {
  it("does not hold up a message whose connection was found dead: it goes by one of those that are open", async () => {
    let logins = 0;
    const { pool, server } = pooled(
      script(() => (++logins <= 2 ? "235 ok" : "535 5.7.8 too many sessions"), tiredOf("dead")),
      { ...OPTIONS, maxConnections: 3 },
    );
    await open(pool, 2);
    await open(pool, 3);
    await vi.waitFor(() => expect(pool.stats.connections).toBe(2));
    expect(await settled(() => outcome(send(pool, "dead")), 2)).toEqual({ value: "ok" });
    expect(await settled(() => pool.close(), 2)).toEqual({ value: undefined });
    expect(said(server, "AUTH")).toHaveLength(3);
  });

  it("nor where close() was called meanwhile, or messages never cease", async () => {
    let logins = 0;
    const { pool } = pooled(
      script(() => (++logins <= 2 ? "235 ok" : "535 5.7.8 no"), tiredOf("dead")),
      { ...OPTIONS, maxConnections: 3 },
    );
    await open(pool, 3);
    const others = Array.from({ length: 50 }, (_, index) => outcome(send(pool, `m${index}`)));
    const dead = outcome(send(pool, "dead"));
    others.push(...Array.from({ length: 50 }, (_, index) => outcome(send(pool, `n${index}`))));
    expect(await settled(() => pool.close(), 5)).toEqual({ value: undefined });
    expect(await dead).toBe("ok");
    expect(new Set(await Promise.all(others))).toEqual(new Set(["ok"]));
  });

  it("leaves the others alone that are signing on", async () => {
    let logins = 0;
    const { pool, server } = pooled(
      script(() => (++logins === 3 ? "535 4.7.0 hiccup" : "235 ok")),
      { ...OPTIONS, maxConnections: 5 },
    );
    await open(pool, 1);
    expect(await Promise.all(Array.from({ length: 20 }, (_, index) => outcome(send(pool, `m${index}`))))).toEqual(
      Array(20).fill("ok"),
    );
    expect(pool.stats.connections).toBe(4);
    expect(said(server, "AUTH")).toHaveLength(5);
    await pool.close();
  });

  it("is no reason to refuse what an open connection can send, whoever meets it", async () => {
    let logins = 0;
    const { pool } = pooled(
      script(() => (++logins === 1 ? "235 ok" : "535 no")),
      { ...OPTIONS, maxConnections: 3 },
    );
    await open(pool, 1);
    const sends = Array.from({ length: 5 }, (_, index) => outcome(send(pool, `m${index}`)));
    expect(await outcome(pool.check())).toMatch(/^SMTPAuthenticationError 535/);
    expect(await Promise.all(sends)).toEqual(Array(5).fill("ok"));
    await pool.close();
  });
});

describe("a refusal for good while other connections are open", () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] }));
  afterEach(() => void vi.useRealTimers());

  it("is tried again after a pause that grows, by one connection, and then no pause is kept", async () => {
    let logins = 0;
    let works = 1;
    const tries: number[] = [];
    const { pool } = pooled(
      script(() => {
        tries.push(performance.now());
        return ++logins <= works ? "235 ok" : "535 5.7.8 no";
      }),
      { ...OPTIONS, maxConnections: 3, idleTimeout: 10_000 },
    );
    await send(pool, "first");
    const burst = async (): Promise<void> => {
      const sends = Array.from({ length: 15 }, (_, index) => outcome(send(pool, `m${index}`)));
      await vi.advanceTimersByTimeAsync(300);
      expect(new Set(await Promise.all(sends))).toEqual(new Set(["ok"]));
    };
    for (let i = 0; i < 200; i++) await burst();
    // Each pause is at least as long as the one before, and the traffic of a minute costs only a few logins.
    const pauses = tries.slice(3).map((at, index) => at - (tries[index + 2] ?? 0));
    expect(pauses.length).toBeGreaterThanOrEqual(4);
    expect(pauses.length).toBeLessThanOrEqual(7);
    for (const [index, pause] of pauses.entries()) expect(pause).toBeGreaterThanOrEqual(1000 * 2 ** index);
    works = Number.POSITIVE_INFINITY;
    for (let i = 0; i < 300 && pool.stats.connections < 3; i++) await burst();
    expect(pool.stats.connections).toBe(3);
    await pool.close();
  });
});
