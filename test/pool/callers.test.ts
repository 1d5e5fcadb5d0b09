/** The stack of a rejection of a pool's methods has the functions of the calling program. */
import { describe, expect, it } from "vitest";
import { SMTPConnectError, type SMTPPool } from "../../src/index.ts";
import type { Script } from "../client/fake-server.ts";
import { CALLERS, callersOf, namesIn, unformatted } from "../support/callers.ts";
import { MESSAGE, pooled } from "./pool.ts";

const LETTER = "From: a@a.test\r\nTo: b@b.test\r\n\r\nhello\r\n";

/** Each method that rejects, as a program calls it. */
const CALLS: [string, (pool: SMTPPool) => Promise<unknown>][] = [
  ["sendmail", (pool) => pool.sendmail("a@a.test", "b@b.test", MESSAGE)],
  ["sendmail of a stream", (pool) => pool.sendmail("a@a.test", "b@b.test", [MESSAGE])],
  ["send_message", (pool) => pool.send_message(LETTER)],
  ["send_message of an object", (pool) => pool.send_message({ build: async () => LETTER })],
  ["deliver", (pool) => pool.deliver({ from: "a@a.test", to: ["b@b.test"], body: MESSAGE })],
  ["check", (pool) => pool.check()],
];

/** The faults, and whether `check()` also fails. */
const FAULTS: [string, Script, boolean][] = [
  ["a greeting that refuses", { greeting: "554 no" }, true],
  ["EHLO refused", { on: { EHLO: "550 no", HELO: "550 no" } }, true],
  ["a refused sender", { on: { MAIL: "550 no" } }, false],
  ["a refused content", { on: { ".": "550 no" } }, false],
  ["a connection that is lost", { on: { ".": "close" } }, false],
];

describe.each(FAULTS)("the callers of a pool's methods after %s", (_, script, checked) => {
  const calls = checked ? CALLS : CALLS.slice(0, -1);
  it.each(calls)("%s", async (_, call) => {
    const { pool } = pooled(script);
    const callers = await callersOf(() => call(pool));
    await pool.close();
    expect(callers).toEqual(CALLERS);
  });
});

describe("the callers of a pool's methods", () => {
  it.each(CALLS)("%s, when the pool is closed", async (_, call) => {
    const { pool } = pooled();
    await pool.close();
    const callers = await callersOf(() => call(pool));
    expect(callers).toEqual(CALLERS);
  });

  it("after a message went a second time", async () => {
    const { pool, server } = pooled({ on: { MAIL: ["250 ok", "close", "550 no"] } });
    await pool.sendmail("a@a.test", "b@b.test", MESSAGE);
    const callers = await callersOf(() => pool.sendmail("a@a.test", "b@b.test", MESSAGE));
    await pool.close();
    expect(server.streams).toHaveLength(2);
    expect(callers).toEqual(CALLERS);
  });

  it("are its own for each of the messages that are rejected for one reason", async () => {
    const { pool } = pooled({ greeting: "554 no" }, { maxConnections: 1 });
    async function sendFirst(): Promise<void> {
      await pool.sendmail("a@a.test", "b@b.test", MESSAGE);
    }
    async function sendSecond(): Promise<void> {
      await pool.sendmail("a@a.test", "b@b.test", MESSAGE);
    }
    await unformatted(async () => {
      const [first, second] = await Promise.allSettled([sendFirst(), sendSecond()]);
      if (first.status !== "rejected" || second.status !== "rejected") return expect.unreachable("they were sent");
      expect([namesIn(first.reason), namesIn(second.reason)]).toEqual([
        expect.arrayContaining(["sendFirst"]),
        expect.arrayContaining(["sendSecond"]),
      ]);
      expect(namesIn(first.reason)).not.toContain("sendSecond");
      expect(namesIn(second.reason)).not.toContain("sendFirst");
      for (const { reason } of [first, second]) {
        expect(reason).toBeInstanceOf(SMTPConnectError);
        expect(reason).toMatchObject({ smtp_code: 554, smtp_error: "no", temporary: false, delivery: "not-sent" });
      }
      expect(first.reason).not.toBe(second.reason);
    });
    await pool.close();
  });
});
