/** Messages that wait at the same time: the fate of one is not reported for the others. */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { SMTPException } from "../../src/index.ts";
import { watchForLeaks } from "../hostile/scenario.ts";
import { outcome, pooled, said, send } from "./pool.ts";

beforeEach(() => void vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] }));
afterEach(() => void vi.useRealTimers());
watchForLeaks();

/** Lets everything happen that needs no time. */
async function settle(): Promise<void> {
  for (let i = 0; i < 30; i++) await new Promise((resolve) => setImmediate(resolve));
}

/** The error that a call is rejected with. */
function failure(call: Promise<unknown>): Promise<unknown> {
  return call.then(
    () => undefined,
    (error: unknown) => error,
  );
}

describe("what waits while each connection dies at its first message", () => {
  it.each([
    ["MAIL", { reconnectFor: 0 }],
    ["RCPT", { reconnectFor: 0 }],
    ["MAIL", { reconnectFor: 2 }],
    ["RCPT", { reconnectFor: 2 }],
  ] as const)("is not told of another message's 421 to %s as if it were its own: %o", async (verb, options) => {
    const { pool } = pooled({ on: { [verb]: "421 4.3.2 bye" } }, { maxConnections: 1, ...options });
    const waiting = Array.from({ length: 80 }, (_, index) => failure(send(pool, `m${index}`)));
    await settle();
    await vi.advanceTimersByTimeAsync(10_000);
    const errors = await Promise.all(waiting);
    const last = errors.at(-1);
    expect(last).toBeInstanceOf(SMTPException);
    expect(last).toMatchObject({ delivery: "not-sent", temporary: true, message: expect.stringContaining("421") });
    for (const [index, error] of errors.entries()) {
      const others = [...String(error).matchAll(/m(\d+)@/g)].filter(([, other]) => other !== String(index));
      expect(others.map(([name]) => name)).toEqual([]);
    }
    await pool.close();
  });

  it("is not rejected because the deadline of the first message ended its connection", async () => {
    let mails = 0;
    const { pool, server } = pooled(
      { on: { MAIL: () => (mails++ === 0 ? undefined : "250 ok") } },
      { maxConnections: 1, reconnectFor: 0, timeouts: { total: 5 }, rateLimit: { messages: 1, seconds: 6 } },
    );
    const first = outcome(send(pool, "one"));
    await server.saw(/one@/);
    await vi.advanceTimersByTimeAsync(3_000);
    const second = outcome(send(pool, "two"));
    await vi.advanceTimersByTimeAsync(2_100);
    expect(await first).toBe("SMTPTimeoutError not-sent");
    await vi.advanceTimersByTimeAsync(1_000);
    expect(await second).toBe("ok");
    await pool.close();
  });
});

it("421 in place of a second connection is no end for what waits while the first sends its last message", async () => {
  let greetings = 0;
  const { pool, server } = pooled(
    { on: { ".": () => undefined, EHLO: () => (++greetings === 2 ? "421 too many" : "250 fake") } },
    { maxConnections: 2, maxMessages: 1, reconnectFor: 0 },
  );
  const first = outcome(send(pool, "one"));
  await server.saw(".");
  const second = outcome(send(pool, "two"));
  await settle();
  expect(greetings).toBe(2);
  server.streams[0]?.write(new TextEncoder().encode("250 ok\r\n"));
  expect(await first).toBe("ok");
  await vi.advanceTimersByTimeAsync(2_000);
  await settle();
  server.say("250 ok\r\n");
  expect(await second).toBe("ok");
  await pool.close();
});

it("messages go in the order of the calls, with and without a signal, whatever wakes the pool meanwhile", async () => {
  let ends = 0;
  const held = { ".": () => (++ends === 2 ? undefined : "250 ok") };
  const { pool, server } = pooled({ on: held }, { maxConnections: 1, idleTimeout: 1 });
  const { signal } = new AbortController();
  const sends = [send(pool, "one"), send(pool, "two", signal), send(pool, "three")];
  await server.until(() => ends === 2);
  // The pool checks the idle timeout while the second message is being sent.
  await vi.advanceTimersByTimeAsync(1_100);
  sends.push(send(pool, "four", signal), send(pool, "five"));
  server.say("250 ok\r\n");
  await Promise.all(sends);
  const order = said(server, "MAIL").map((line) => /<(\w+)@/.exec(line)?.[1]);
  expect(order).toEqual(["one", "two", "three", "four", "five"]);
  await pool.close();
});
