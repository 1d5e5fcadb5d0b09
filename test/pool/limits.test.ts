/** A pool's limits: the number of connections and messages, timeouts, and aborts. */
import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { SMTPTimeoutError } from "../../src/index.ts";
import { RateLimit } from "../../src/pool/rate-limit.ts";
import { gate } from "../support/gate.ts";
import { MESSAGE, outcome, pooled, said, send } from "./pool.ts";

const PIPELINING = ["PIPELINING", "8BITMIME"];

// Loading code on first use takes real time, so it is loaded before time is faked.
beforeAll(async () => {
  const { pool } = pooled();
  await pool.deliver({ from: "a@a.test", to: ["b@b.test"], body: [MESSAGE] });
  await pool.close();
});

beforeEach(() => void vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] }));
afterEach(() => void vi.useRealTimers());

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Lets everything happen that needs no time. */
async function settle(): Promise<void> {
  for (let i = 0; i < 30; i++) await turn();
}

describe("rateLimit", () => {
  it("lets no more messages begin in any span than it allows, on all connections together", async () => {
    const { pool, server } = pooled(
      { ehlo: PIPELINING },
      { maxConnections: 4, rateLimit: { messages: 3, seconds: 10 } },
    );
    const sends = Promise.all(Array.from({ length: 8 }, (_, index) => send(pool, `m${index}`)));
    const counts: number[] = [];
    for (let second = 0; second < 25; second += 5) {
      await settle();
      counts.push(said(server, "MAIL").length);
      await vi.advanceTimersByTimeAsync(5_000);
    }
    await sends;
    expect(counts).toEqual([3, 3, 6, 6, 8]);
    const closed = pool.close();
    await settle();
    await closed;
  });

  it("begins to count when the message begins", () => {
    const rate = new RateLimit({ messages: 2, seconds: 1 });
    expect([rate.take(0), rate.take(0), rate.take(0)]).toEqual([true, true, false]);
    rate.began(500);
    expect(rate.next).toBe(1500);
    expect(rate.take(1499)).toBe(false);
    rate.giveBack();
    expect([rate.take(1499), rate.take(1499)]).toEqual([true, false]);
    expect([rate.take(1500), rate.take(1500)]).toEqual([true, false]);
  });
});

describe("maxQueue", () => {
  it("rejects what would wait beyond it, and ready() tells when there is room", async () => {
    const { pool, server } = pooled({ on: { DATA: () => undefined } }, { maxConnections: 1, maxQueue: 2 });
    const abort = new AbortController();
    const first = outcome(send(pool, "one", abort.signal));
    await server.saw("DATA");
    const waiting = [outcome(send(pool, "two")), outcome(send(pool, "three"))];
    expect(await outcome(send(pool, "four"))).toBe("SMTPException not-sent");
    expect(pool.stats).toMatchObject({ queued: 2, sending: 1, failed: 0 });
    let ready = false;
    const room = pool.ready().then(() => {
      ready = true;
    });
    await settle();
    expect(ready).toBe(false);
    abort.abort(new Error("enough"));
    await room;
    expect(await first).toBe("Error");
    await settle();
    await vi.advanceTimersByTimeAsync(600_000);
    await settle();
    await vi.advanceTimersByTimeAsync(600_000);
    expect(await Promise.all(waiting)).toEqual(Array(2).fill("SMTPTimeoutError not-sent"));
    await pool.close();
  });

  it("is never reached by callers who await ready(), however many do at the same time", async () => {
    const { pool } = pooled({ ehlo: PIPELINING }, { maxConnections: 1, maxQueue: 3 });
    const sends = Array.from({ length: 30 }, async (_, index) => {
      await pool.ready();
      return send(pool, `m${index}`);
    });
    expect(await Promise.all(sends.map(outcome))).toEqual(Array(30).fill("ok"));
    await pool.close();
  });

  it("keeps no place for one who awaited ready() and does not call", async () => {
    const { pool } = pooled({}, { maxQueue: 1 });
    await pool.ready();
    let ready = false;
    const second = pool.ready().then(() => {
      ready = true;
    });
    await Promise.resolve();
    expect(ready).toBe(false);
    await second;
    await pool.close();
  });

  it("has room again when a message that is being prepared is aborted", async () => {
    const { pool } = pooled({}, { maxQueue: 1 });
    await pool.drain();
    const abort = new AbortController();
    const { open, opened } = gate();
    const slow = { asRaw: () => opened.then(() => MESSAGE) };
    const sent = outcome(pool.send_message(slow, "a@a.test", "b@b.test", [], [], { signal: abort.signal }));
    await settle();
    expect(pool.stats.queued).toBe(1);
    const room = pool.ready();
    abort.abort(new Error("enough"));
    expect(await sent).toBe("Error");
    await room;
    open();
    await settle();
    expect(pool.stats).toMatchObject({ queued: 0, sent: 0, failed: 1 });
    await pool.close();
  });
});

describe("idleTimeout and maxLifetime", () => {
  it("close a connection without work, with QUIT", async () => {
    const { pool, server } = pooled({}, { idleTimeout: 30 });
    await send(pool);
    await vi.advanceTimersByTimeAsync(29_000);
    await send(pool);
    await vi.advanceTimersByTimeAsync(29_000);
    expect(pool.stats.connections).toBe(1);
    await vi.advanceTimersByTimeAsync(1_500);
    await settle();
    expect(pool.stats.connections).toBe(0);
    expect(server.lines.at(-1)).toBe("QUIT");
    await send(pool);
    expect(server.streams).toHaveLength(2);
    await pool.close();
  });

  it("replace a connection that is old, also one that is never without work", async () => {
    const { pool, server } = pooled({ ehlo: PIPELINING }, { maxConnections: 1, maxLifetime: 10 });
    let running = true;
    const one = async (): Promise<void> => {
      for (; running; await turn()) await send(pool);
    };
    const all = Promise.all([one(), one(), one()]);
    for (let second = 0; second < 35; second++) {
      await settle();
      await vi.advanceTimersByTimeAsync(1_000);
    }
    running = false;
    await all;
    expect(server.streams.length).toBeGreaterThanOrEqual(3);
    expect(pool.stats.failed).toBe(0);
    expect(said(server, "QUIT").length).toBeGreaterThanOrEqual(2);
    await pool.close();
  });
});

describe("timeouts.total", () => {
  it("counts from the call: a message that waits too long is not sent", async () => {
    const silent = { on: { MAIL: ["250 ok", undefined as unknown as string] } };
    const { pool, server } = pooled(silent, { maxConnections: 1, timeouts: { total: 5 } });
    await send(pool, "zero");
    const sends = ["one", "two"].map((name) => send(pool, name).catch((error: unknown) => error));
    await server.saw(/one@/);
    await vi.advanceTimersByTimeAsync(5_100);
    const errors = await Promise.all(sends);
    for (const error of errors) {
      expect(error).toBeInstanceOf(SMTPTimeoutError);
      expect(error).toMatchObject({ phase: "total", delivery: "not-sent", temporary: true });
    }
    expect(said(server, "MAIL").join()).not.toContain("two@");
    await pool.close();
  });

  it("says unknown of a message whose end was sent", async () => {
    const { pool, server } = pooled({ on: { ".": () => undefined } }, { timeouts: { total: 5 } });
    const sent = outcome(send(pool));
    await server.saw(".");
    await vi.advanceTimersByTimeAsync(5_100);
    expect(await sent).toBe("SMTPTimeoutError unknown");
    await pool.close();
  });
});

describe("an abort", () => {
  it("costs no message but its own: one that can be aborted is not put behind another", async () => {
    const { pool, server } = pooled({ ehlo: PIPELINING, on: { ".": () => undefined } }, { maxConnections: 1 });
    const abort = new AbortController();
    const first = outcome(send(pool, "one"));
    await server.saw(".");
    const second = outcome(send(pool, "two", abort.signal));
    await settle();
    abort.abort(new RangeError("enough"));
    expect(await second).toBe("RangeError");
    expect(said(server, "MAIL")).toHaveLength(1);
    server.say("250 ok\r\n");
    expect(await first).toBe("ok");
    await pool.close();
  });

  it("sends what went behind it again", async () => {
    let silent = false;
    let begins = true;
    const unlessSilent = (answer: string) => (): string | undefined => (silent ? undefined : answer);
    const dot = (): string | undefined => {
      silent = begins;
      begins = false;
      return unlessSilent("250 ok")();
    };
    const on = { MAIL: unlessSilent("250 ok"), RCPT: unlessSilent("250 ok"), DATA: unlessSilent("354 go"), ".": dot };
    const { pool, server } = pooled({ ehlo: PIPELINING, on }, { maxConnections: 1 });
    const abort = new AbortController();
    const first = outcome(send(pool, "one", abort.signal));
    await server.saw(".");
    const second = outcome(send(pool, "two"));
    await server.saw(/MAIL FROM:<two@/);
    silent = false;
    abort.abort(new RangeError("enough"));
    expect([await first, await second]).toEqual(["RangeError", "ok"]);
    expect(pool.stats).toMatchObject({ retried: 1, sent: 1, failed: 1 });
    await pool.close();
  });

  it("of the option signal is listened to once, however many connections there are", async () => {
    const { signal } = new AbortController();
    const add = vi.spyOn(signal, "addEventListener");
    const remove = vi.spyOn(signal, "removeEventListener");
    const { pool, server } = pooled({}, { maxConnections: 20, signal });
    await Promise.all(Array.from({ length: 40 }, (_, index) => send(pool, `u${index}`)));
    expect(server.streams.length).toBeGreaterThan(10);
    expect(add.mock.calls.length).toBe(1);
    await pool.close();
    expect(remove.mock.calls.length).toBe(1);
  });

  it("of the option signal drops what is being prepared, too", async () => {
    const abort = new AbortController();
    const { pool } = pooled({}, { signal: abort.signal });
    const reason = new Error("all off");
    const endless = { asRaw: () => new Promise(() => {}) };
    const sent = pool.send_message(endless, "a@a.test", "b@b.test").catch((error: unknown) => error);
    await settle();
    abort.abort(reason);
    expect(await sent).toBe(reason);
    await pool.close();
  });

  it("of the option signal drops everything", async () => {
    const abort = new AbortController();
    const { pool, server } = pooled({ on: { ".": () => undefined } }, { maxConnections: 1, signal: abort.signal });
    const sends = ["one", "two"].map((name) => outcome(send(pool, name)));
    await server.saw(".");
    abort.abort(new RangeError("the end"));
    expect(await Promise.all(sends)).toEqual(["RangeError", "RangeError"]);
    expect(await outcome(send(pool))).toBe("SMTPServerDisconnected not-sent");
    await pool.close();
    expect(pool.stats).toMatchObject({ connections: 0, connecting: 0 });
  });

  it("gives a stream back that nobody read", async () => {
    const { pool } = pooled({}, { maxConnections: 1 });
    const abort = new AbortController();
    abort.abort(new RangeError("before"));
    let cancelled = false;
    const body = new ReadableStream<Uint8Array>({
      cancel() {
        cancelled = true;
      },
    });
    const call = pool.sendmail("a@a.test", "b@b.test", body, [], [], { signal: abort.signal });
    expect(await outcome(call)).toBe("RangeError");
    expect(cancelled).toBe(true);
    expect(await outcome(pool.deliver({ from: "a@a.test", to: ["b@b.test"], body: MESSAGE }))).toBe("ok");
    await pool.close();
  });
});
