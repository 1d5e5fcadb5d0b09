/** Connections that cannot be opened now: messages wait, and the pool keeps trying for `reconnectFor` seconds. */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { SMTPException, SMTPPool, type Transport } from "../../src/index.ts";
import type { PoolOptions } from "../../src/pool/options.ts";
import { FakeServer, type Script } from "../client/fake-server.ts";
import { watchForLeaks } from "../hostile/scenario.ts";
import { outcome, said, send } from "./pool.ts";

beforeEach(() => void vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] }));
afterEach(() => void vi.useRealTimers());
watchForLeaks();

const AUTH = { user: "user", password: "password" };

/** Lets everything happen that needs no time. */
async function settle(): Promise<void> {
  for (let i = 0; i < 30; i++) await new Promise((resolve) => setImmediate(resolve));
}

/** Lets this many seconds pass, in small steps. */
async function pass(seconds: number): Promise<void> {
  for (let left = seconds * 1000; left > 0; left -= 50) {
    await vi.advanceTimersByTimeAsync(Math.min(50, left));
    await settle();
  }
}

/** A pool whose first connections fail, this many times. */
function failing(times: number, options: PoolOptions = {}, script: Script = {}) {
  const server = new FakeServer(script);
  const tries: number[] = [];
  const transport: Transport = async (...where) => {
    tries.push(performance.now());
    if (tries.length <= times) throw new Error(`refused ${tries.length}`);
    return server.transport(...where);
  };
  const pool = new SMTPPool({ host: "mail.example.com", transport, ...options });
  return { pool, server, tries };
}

function burst(pool: SMTPPool, count: number): Promise<string[]> {
  return Promise.all(Array.from({ length: count }, (_, index) => outcome(send(pool, `m${index}`))));
}

describe("a failure to connect that may pass costs no message", () => {
  it("and is tried again with growing pauses until a connection is there", async () => {
    const { pool, server, tries } = failing(8, { maxConnections: 3 });
    const sends = burst(pool, 20);
    await pass(29);
    expect(await sends).toEqual(Array(20).fill("ok"));
    expect(server.messages).toHaveLength(20);
    // Three at once, then one after the other; after a success, as many as are needed.
    const pauses = tries.slice(3, 9).map((at, index) => at - (tries[index + 2] ?? 0));
    expect(pauses[0]).toBeGreaterThanOrEqual(50);
    expect(pauses.at(-1)).toBeGreaterThan(1000);
    expect(Math.max(...pauses)).toBeLessThanOrEqual(5_000);
    await pool.close();
  });

  it.each<[string, Script, PoolOptions]>([
    ["421 in place of a greeting", { greeting: "421 too many" }, {}],
    ["451 in place of a greeting", { greeting: "451 later" }, {}],
    ["a close in place of a greeting", { greeting: "close" }, {}],
    ["421 to EHLO", { on: { EHLO: "421 bye" } }, {}],
    ["4yz to EHLO and HELO", { on: { EHLO: "451 later", HELO: "451 later" } }, {}],
    ["a close at EHLO", { on: { EHLO: "close" } }, {}],
    ["454 to AUTH", { ehlo: ["AUTH PLAIN"], on: { AUTH: "454 later" } }, { auth: AUTH, starttls: "never" }],
    ["a close at AUTH", { ehlo: ["AUTH PLAIN"], on: { AUTH: "close" } }, { auth: AUTH, starttls: "never" }],
    ["454 to STARTTLS", { ehlo: ["STARTTLS"], on: { STARTTLS: "454 later" } }, { starttls: "required" }],
    ["silence", { on: { EHLO: () => undefined } }, { timeouts: { command: 1 } }],
  ])("%s", async (_, script, options) => {
    const peer = { loopback: true };
    const bad = new FakeServer({ ...script, peer });
    const good = new FakeServer({ peer, ehlo: ["AUTH PLAIN"], on: { AUTH: "235 ok" } });
    let tries = 0;
    const transport: Transport = (...where) => (tries++ < 4 ? bad : good).transport(...where);
    const own = script.on?.["STARTTLS"] === undefined ? options : { starttls: "required" as const };
    const pool = new SMTPPool({ host: "mail.example.com", transport, maxConnections: 2, ...own });
    const sends = burst(pool, 5);
    await pass(20);
    if (script.on?.["STARTTLS"] === undefined) expect(await sends).toEqual(Array(5).fill("ok"));
    else expect(new Set(await sends)).toEqual(new Set(["SMTPNotSupportedError not-sent"]));
    expect(bad.messages).toEqual([]);
    await pool.close();
  });
});

describe("after reconnectFor seconds", () => {
  it("what waits is rejected with the last reason, and what comes then has as long again", async () => {
    const { pool, tries } = failing(Number.POSITIVE_INFINITY, { reconnectFor: 10 });
    const errors: unknown[] = [];
    for (let i = 0; i < 5; i++) void send(pool, `m${i}`).catch((error: unknown) => errors.push(error));
    await pass(9.8);
    expect(errors).toEqual([]);
    await pass(0.4);
    expect(errors).toHaveLength(5);
    const last = `refused ${tries.length}`;
    for (const error of errors) {
      expect(error).toBeInstanceOf(SMTPException);
      expect(error).toMatchObject({ name: "SMTPConnectError", smtp_code: -1, temporary: true, delivery: "not-sent" });
      expect(String(error)).toContain(last);
    }
    expect(tries.length).toBeLessThan(25);
    expect(pool.stats).toMatchObject({ queued: 0, connecting: 0, failed: 5 });
    // Without waiting messages, nothing is tried.
    const before = tries.length;
    await pass(20);
    expect(tries).toHaveLength(before);
    const next = outcome(send(pool));
    await pass(9.8);
    expect(tries.length).toBeGreaterThan(before + 3);
    await pass(0.4);
    expect(await next).toBe("SMTPConnectError -1 not-sent");
    await pool.close();
  });

  it("counted from the first failure after which nothing succeeded", async () => {
    let up = true;
    const server = new FakeServer();
    const transport: Transport = (...where) => (up ? server.transport(...where) : Promise.reject(new Error("down")));
    const pool = new SMTPPool({ host: "mail.example.com", transport, reconnectFor: 5, maxMessages: 1 });
    for (let i = 0; i < 3; i++) {
      up = false;
      const sent = outcome(send(pool, `m${i}`));
      await pass(4);
      up = true;
      await pass(1);
      expect(await sent).toBe("ok");
    }
    await pool.close();
  });

  it("a message that comes when none waits has all of them", async () => {
    const { pool } = failing(Number.POSITIVE_INFINITY, { reconnectFor: 5 });
    const abort = new AbortController();
    const first = outcome(send(pool, "one", abort.signal));
    await pass(4);
    abort.abort(new RangeError("enough"));
    expect(await first).toBe("RangeError");
    let second = "pending";
    void outcome(send(pool, "two")).then((one) => {
      second = one;
    });
    await pass(4);
    expect(second).toBe("pending");
    await pass(1.5);
    expect(second).toBe("SMTPConnectError -1 not-sent");
    await pool.close();
  });

  it("each message has all of them, and is rejected when it has had them", async () => {
    const { pool, tries } = failing(Number.POSITIVE_INFINITY, { reconnectFor: 5 });
    const started = performance.now();
    const ended: number[] = [];
    for (let i = 0; i < 4; i++) {
      void send(pool, `m${i}`).catch(() => ended.push(Math.round((performance.now() - started) / 100) / 10));
      await pass(2);
    }
    await pass(5);
    expect(ended.map((at, index) => Math.abs(at - (5 + 2 * index)) < 0.3)).toEqual([true, true, true, true]);
    expect(tries.length).toBeLessThan(30);
    expect(pool.stats).toMatchObject({ queued: 0, failed: 4 });
    const before = tries.length;
    await pass(10);
    expect(tries).toHaveLength(before);
    await pool.close();
  });

  it("a server that accepts and says nothing holds nothing up beyond them", async () => {
    let tries = 0;
    const silent = new FakeServer({ on: { EHLO: () => undefined } });
    const transport: Transport = (...where) =>
      tries++ === 0 ? Promise.reject(new Error("down")) : silent.transport(...where);
    const hanging = new SMTPPool({ host: "mail.example.com", transport, reconnectFor: 5 });
    const sent = outcome(send(hanging));
    await pass(5.2);
    expect(await sent).toBe("SMTPConnectError -1 not-sent");
    await hanging.close();
  });

  it("of which there are none with 0: what was begun together is waited for, and no more", async () => {
    const one = failing(3, { reconnectFor: 0, maxConnections: 3 });
    expect(await burst(one.pool, 5)).toEqual(Array(5).fill("SMTPConnectError -1 not-sent"));
    expect(one.tries).toHaveLength(3);
    const other = failing(2, { reconnectFor: 0, maxConnections: 3 });
    expect(await burst(other.pool, 5)).toEqual(Array(5).fill("ok"));
    await Promise.all([one, other].map(({ pool }) => pool.close()));
  });
});

describe("while connecting is tried again", () => {
  it("a message's deadline and its signal end it at once", async () => {
    const { pool } = failing(Number.POSITIVE_INFINITY, { timeouts: { total: 3 } });
    const abort = new AbortController();
    const late = send(pool, "one").catch((error: unknown) => error);
    const aborted = outcome(send(pool, "two", abort.signal));
    await pass(1);
    abort.abort(new RangeError("enough"));
    expect(await aborted).toBe("RangeError");
    await pass(2.1);
    const error = await late;
    expect(error).toMatchObject({ name: "SMTPTimeoutError", phase: "total", temporary: true, delivery: "not-sent" });
    expect(error).toMatchObject({ cause: { name: "SMTPConnectError", message: expect.stringContaining("refused") } });
    await pool.close();
  });

  it("the pool's signal ends everything at once", async () => {
    const abort = new AbortController();
    const { pool } = failing(Number.POSITIVE_INFINITY, { signal: abort.signal });
    const sends = burst(pool, 3);
    await pass(1);
    abort.abort(new RangeError("enough"));
    expect(await sends).toEqual(Array(3).fill("RangeError"));
    await pool.close();
  });

  it("close() sends what waits if that is possible in time, and ends if it is not", async () => {
    const soon = failing(3);
    const never = failing(Number.POSITIVE_INFINITY, { reconnectFor: 5 });
    const sends = [burst(soon.pool, 3), burst(never.pool, 3)];
    const closed = Promise.all([soon.pool.close(), never.pool.close()]);
    await pass(6);
    expect(await Promise.all(sends)).toEqual([Array(3).fill("ok"), Array(3).fill("SMTPConnectError -1 not-sent")]);
    await closed;
  });

  it("a refusal for good ends it at once", async () => {
    let tries = 0;
    const refusing = new FakeServer({ greeting: "554 go away" });
    const transport: Transport = (...where) =>
      tries++ < 2 ? Promise.reject(new Error("down")) : refusing.transport(...where);
    const pool = new SMTPPool({ host: "mail.example.com", transport, maxConnections: 2 });
    const sends = burst(pool, 5);
    await pass(2);
    expect(await sends).toEqual(Array(5).fill("SMTPConnectError 554 not-sent"));
    expect(tries).toBe(3);
    await pool.close();
  });

  it("messages that come meanwhile wait with the others, and one connection at a time is tried", async () => {
    const { pool, server, tries } = failing(6, { maxConnections: 5 });
    const sends = [burst(pool, 3)];
    for (let i = 0; i < 50; i++) {
      sends.push(burst(pool, 2));
      await pass(0.05);
    }
    await pass(10);
    expect((await Promise.all(sends)).flat()).toEqual(Array(103).fill("ok"));
    expect(server.messages).toHaveLength(103);
    expect(tries.length).toBeLessThanOrEqual(6 + 5);
    expect(said(server, "MAIL")).toHaveLength(103);
    await pool.close();
  });
});
