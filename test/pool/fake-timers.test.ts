/** With all timers of the runtime faked, as Jest and Vitest can do, nothing hangs. */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { SMTPPool } from "../../src/index.ts";
import { FAKED } from "../client/faked.ts";
import { ehlo, inOrder, reset, server, startScriptedServer } from "../support/scripted-server.ts";
import { outcome, pooled, send } from "./pool.ts";

describe("under fake timers", () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: [...FAKED] }));
  afterEach(() => void vi.useRealTimers());

  it("a pool in memory sends, and close() ends", async () => {
    const { pool } = pooled({ ehlo: ["PIPELINING"] }, { maxConnections: 2 });
    expect(await Promise.all(["one", "two", "three"].map((name) => outcome(send(pool, name))))).toEqual(
      Array(3).fill("ok"),
    );
    await pool.close();
  });

  it.each(["close", "451 later", "421 bye"])("and so it does where a message is answered by %s", async (answer) => {
    const { pool } = pooled({ ehlo: ["PIPELINING"], on: { ".": answer } }, { maxConnections: 1 });
    expect(await outcome(send(pool))).not.toBe("ok");
    await pool.close();
  });

  it.each([
    ["takes all", server({ EHLO: ehlo("PIPELINING") })],
    ["resets behind a message", server({ EHLO: ehlo("PIPELINING"), ".": ["250 ok", reset] })],
    ["resets on reuse", server({ EHLO: ehlo("PIPELINING"), MAIL: inOrder("250 ok", reset) })],
  ])("and a server on a socket that %s", async (_, dialogue) => {
    const scripted = await startScriptedServer(dialogue);
    const { host, port } = scripted;
    const pool = new SMTPPool({ host, port, maxConnections: 1 });
    for (const name of ["one", "two", "three"]) await outcome(send(pool, name));
    await pool.close();
    await scripted.finish();
  });

  it("and where the server refuses everything", async () => {
    const { pool } = pooled({ greeting: "554 no" });
    expect(await outcome(send(pool))).toBe("SMTPConnectError 554 not-sent");
    await pool.close();
  });

  it("ready() keeps no place for ever", async () => {
    const { pool } = pooled({}, { maxQueue: 1 });
    await pool.ready();
    await pool.ready();
    await pool.close();
  });
});
