/** Connections that open, but are dead when the first message uses them: that counts as a failure to connect. */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { SMTPPool } from "../../src/index.ts";
import type { PoolOptions } from "../../src/pool/options.ts";
import type { Script } from "../client/fake-server.ts";
import { settled, watchForLeaks } from "../hostile/scenario.ts";
import { gate } from "../support/gate.ts";
import { type Act, close, ehlo, reset, server, startScriptedServer } from "../support/scripted-server.ts";
import { outcome, pooled, said, send } from "./pool.ts";

const OFFER = ehlo("PIPELINING", "CHUNKING");

async function* bodyUntil(moment: Promise<void>): AsyncGenerator<string> {
  yield "Subject: slow\r\n\r\n";
  await moment;
  yield "slow\r\n";
}

describe("a connection that dies at the first message on it", () => {
  watchForLeaks();

  it.each<[string, Act, PoolOptions]>([
    ["reset at MAIL", server({ EHLO: OFFER, MAIL: reset }), {}],
    ["closed at MAIL, in lock-step", server({ EHLO: ehlo(), MAIL: close }), {}],
    ["421 to MAIL", server({ EHLO: OFFER, MAIL: ["421 4.3.2 bye", close] }), {}],
    ["421 to RCPT", server({ EHLO: OFFER, RCPT: ["421 4.3.2 bye", close] }), {}],
    ["closed at DATA", server({ EHLO: ehlo(), DATA: close }), {}],
    ["reset at MAIL, LMTP", server({ LHLO: OFFER, MAIL: reset }), { protocol: "lmtp" }],
  ])("costs no message: %s", async (_, dying, options) => {
    const fine = server({ EHLO: OFFER, LHLO: OFFER });
    const scripted = await startScriptedServer(dying, fine);
    const { host, port } = scripted;
    const pool = new SMTPPool({ host, port, timeout: 5, maxConnections: 1, ...options });
    expect(await settled(() => Promise.all([send(pool, "one"), send(pool, "two")].map(outcome)), 5)).toEqual({
      value: ["ok", "ok"],
    });
    expect(pool.stats).toMatchObject({ sent: 2, failed: 0 });
    await pool.close();
    await scripted.finish();
    expect(scripted.conversations.flatMap(({ bodies }) => bodies)).toHaveLength(2);
  });

  it.each<[string, string, Script]>([
    ["450", "SMTPSenderRefused 450 rejected", { on: { MAIL: ["450 later", "250 ok"] } }],
    ["550", "SMTPSenderRefused 550 rejected", { on: { MAIL: ["550 no", "250 ok"] } }],
    ["closed after the content", "SMTPServerDisconnected unknown", { on: { ".": ["close", "250 ok"] } }],
  ])("is not meant where the server answers, or has the content: %s", async (_, expected, script) => {
    const { pool, server: fake } = pooled(script);
    expect(await outcome(send(pool))).toBe(expected);
    expect(said(fake, "MAIL")).toHaveLength(1);
    await pool.close();
  });

  it("costs the message nothing while another connection is busy: it goes by a new one at once", async () => {
    let answers = 0;
    const held = gate();
    const { pool, server: fake } = pooled(
      { on: { MAIL: (line) => (line.includes("dead") && answers++ === 0 ? "close" : "250 ok"), ".": "250 ok" } },
      { maxConnections: 2, pipelining: false },
    );
    const slow = outcome(pool.sendmail("slow@a.test", "b@b.test", bodyUntil(held.opened)));
    await fake.saw("DATA");
    const dead = outcome(send(pool, "dead"));
    await fake.until(({ streams }) => streams.length === 2);
    await fake.saw(/^MAIL.*dead/);
    expect(await settled(() => dead, 5)).toEqual({ value: "ok" });
    held.open();
    expect(await settled(() => slow, 5)).toEqual({ value: "ok" });
    expect(fake.streams).toHaveLength(3);
    await pool.close();
  });

  it("is the end of a message that meets it twice, and of the first with reconnectFor 0", async () => {
    const twice = pooled({ on: { MAIL: "close" } });
    expect(await settled(() => outcome(send(twice.pool)), 5)).toEqual({ value: "SMTPServerDisconnected not-sent" });
    expect(said(twice.server, "MAIL")).toHaveLength(2);
    const never = pooled({ on: { MAIL: "close" } }, { reconnectFor: 0 });
    expect(await settled(() => outcome(send(never.pool)), 5)).toEqual({ value: "SMTPServerDisconnected not-sent" });
    expect(said(never.server, "MAIL")).toHaveLength(1);
    await Promise.all([twice, never].map(({ pool }) => pool.close()));
  });
});

describe("a server on which each connection dies so", () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] }));
  afterEach(() => void vi.useRealTimers());

  it("is asked with growing pauses, and what waits is rejected after reconnectFor seconds", async () => {
    const { pool, server: fake } = pooled({ on: { MAIL: "close" } }, { reconnectFor: 20, maxConnections: 3 });
    const sends = Promise.all(Array.from({ length: 100 }, (_, index) => outcome(send(pool, `m${index}`))));
    await vi.advanceTimersByTimeAsync(25_000);
    expect(new Set(await sends)).toEqual(new Set(["SMTPServerDisconnected not-sent"]));
    expect(fake.streams.length).toBeLessThan(60);
    await pool.close();
  });
});
