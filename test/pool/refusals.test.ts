/** Refusals that every other connection would get, too: one connection finds out for all waiting messages. */
import { afterEach, describe, expect, it } from "vitest";
import { SMTPPool } from "../../src/index.ts";
import { smtplib } from "../../src/nodemailer/npm.ts";
import type { PoolOptions } from "../../src/pool/options.ts";
import { settled, watchForLeaks } from "../hostile/scenario.ts";
import { certificates } from "../support/certificates.ts";
import {
  type Act,
  close,
  delay,
  ehlo,
  inOrder,
  type ScriptedServer,
  server,
  stall,
  startScriptedServer,
  startTls,
} from "../support/scripted-server.ts";
import { outcome, pooled, said, send } from "./pool.ts";

const AUTH = { user: "user", password: "wrong" };
const LATENCY = delay(0.03);
const OFFER = ehlo("PIPELINING", "AUTH PLAIN");

watchForLeaks();

let scripted: ScriptedServer | undefined;
afterEach(async () => {
  await scripted?.finish();
  scripted = undefined;
});

/** Sends this many messages at once; returns their outcomes. */
function burst(pool: SMTPPool, count: number): Promise<string[]> {
  return Promise.all(Array.from({ length: count }, (_, index) => outcome(send(pool, `m${index}`))));
}

/** The number of lines with this verb, over all connections. */
function times(verb: string): number {
  const lines = scripted?.conversations.flatMap((one) => one.lines) ?? [];
  return lines.filter((line) => line.toUpperCase().startsWith(verb)).length;
}

async function serverThat(...dialogues: Act[]): Promise<PoolOptions> {
  scripted = await startScriptedServer(...dialogues);
  const { host, port } = scripted;
  return { host, port, starttls: "never", timeout: 5 };
}

describe("a wrong password costs one session's login", () => {
  const answers = { EHLO: [LATENCY, OFFER], AUTH: [LATENCY, "535 5.7.8 no"] };
  const wrong = server(answers, [LATENCY, "220 hello"]);

  it.each([
    [5, 5, 5],
    [10, 10, 500],
    [1, 20, 20],
    [20, 3, 3],
  ])("with %i connections, to be told to %i and then %i messages at once", async (maxConnections, first, second) => {
    const pool = new SMTPPool({ ...(await serverThat(wrong)), auth: AUTH, maxConnections });
    const refused = "SMTPAuthenticationError 535 not-sent";
    expect(await settled(() => burst(pool, first), 5)).toEqual({ value: Array(first).fill(refused) });
    expect([times("AUTH"), scripted?.conversations.length]).toEqual([1, 1]);
    // The refusal is not remembered: the password may be right by now.
    expect(await settled(() => burst(pool, second), 5)).toEqual({ value: Array(second).fill(refused) });
    expect([times("AUTH"), scripted?.conversations.length]).toEqual([2, 2]);
    expect(await settled(() => pool.close(), 5)).toEqual({ value: undefined });
    expect(pool.stats).toMatchObject({ connections: 0, connecting: 0, queued: 0, sent: 0, failed: first + second });
  });

  it("to close() as well, which ends", async () => {
    const pool = new SMTPPool({ ...(await serverThat(wrong)), auth: AUTH, maxConnections: 10 });
    const outcomes = burst(pool, 50);
    expect(await settled(() => pool.close(), 5)).toEqual({ value: undefined });
    expect(new Set(await outcomes)).toEqual(new Set(["SMTPAuthenticationError 535 not-sent"]));
    expect(times("AUTH")).toBe(1);
  });

  it("to checks and messages together", async () => {
    const pool = new SMTPPool({ ...(await serverThat(wrong)), auth: AUTH, maxConnections: 10 });
    const checks = Array.from({ length: 5 }, () => outcome(pool.check()));
    const sends = burst(pool, 5);
    const told = await settled(async () => [...(await Promise.all(checks)), ...(await sends)], 5);
    expect(told).toEqual({ value: Array(10).fill(expect.stringMatching(/^SMTPAuthenticationError 535/)) });
    expect(times("AUTH")).toBe(1);
    await pool.close();
  });

  it("to nodemailer's transport", async () => {
    const transport = smtplib({ ...(await serverThat(wrong)), auth: AUTH, maxConnections: 10 });
    const told = await Promise.all(Array.from({ length: 5 }, () => outcome(transport.verify())));
    expect(told).toHaveLength(5);
    expect(told.filter((one) => one === "ok")).toEqual([]);
    expect(times("AUTH")).toBe(1);
    await transport.close();
  });

  it("and is reported at once, whether the server answers QUIT or not", async () => {
    const pool = new SMTPPool({
      ...(await serverThat(server({ ...answers, QUIT: stall }))),
      auth: AUTH,
      timeouts: { quit: 2 },
    });
    expect(await settled(() => burst(pool, 5), 1)).toEqual({
      value: Array(5).fill("SMTPAuthenticationError 535 not-sent"),
    });
    await pool.close();
  });
});

describe("what no other connection would mend is told to all that wait, by one", () => {
  it.each<[string, string, Act, PoolOptions]>([
    ["EHLO and HELO refused", "SMTPHeloError 550 not-sent", server({ EHLO: "550 no", HELO: "550 no" }), {}],
    [
      "EHLO and HELO refused, and no login",
      "SMTPHeloError 550 not-sent",
      server({ EHLO: "550 no", HELO: "550 no" }),
      {
        auth: undefined,
        maxConnections: 1,
      },
    ],
    ["no AUTH", "SMTPNotSupportedError not-sent", server({ EHLO: [LATENCY, ehlo("PIPELINING")] }), {}],
    ["no mechanism in common", "SMTPException not-sent", server({ EHLO: ehlo("AUTH XYZ") }), {}],
    ["no STARTTLS", "SMTPNotSupportedError not-sent", server({ EHLO: OFFER }), { starttls: "required" }],
    [
      "STARTTLS refused for good",
      "SMTPResponseException 502 not-sent",
      server({
        EHLO: ehlo("STARTTLS"),
        STARTTLS: "502 no",
      }),
      { starttls: "required" },
    ],
    ["554 in place of a greeting", "SMTPConnectError 554 not-sent", ["554 no", close], {}],
    ["something else in place of a greeting", "SMTPConnectError -1 not-sent", ["HTTP/1.1 400 no", close], {}],
  ])("%s", async (_, expected, dialogue, options) => {
    const pool = new SMTPPool({ ...(await serverThat(dialogue)), auth: AUTH, maxConnections: 10, ...options });
    expect(await settled(() => burst(pool, 20), 5)).toEqual({ value: Array(20).fill(expected) });
    expect(scripted?.conversations).toHaveLength(1);
    expect(await settled(() => pool.close(), 5)).toEqual({ value: undefined });
  });

  it("a certificate that is not trusted", async () => {
    const { good } = await certificates();
    const options = await serverThat(server({ EHLO: ehlo("STARTTLS"), STARTTLS: ["220 go", startTls(good)] }));
    const pool = new SMTPPool({ ...options, auth: AUTH, starttls: "required", maxConnections: 10 });
    expect(await settled(() => burst(pool, 20), 5)).toEqual({
      value: Array(20).fill("SMTPServerDisconnected not-sent"),
    });
    expect(scripted?.conversations).toHaveLength(1);
    await pool.close();
  });

  it("a token function that throws", async () => {
    let calls = 0;
    const token = async (): Promise<string> => {
      calls++;
      throw new Error("no token today");
    };
    const options = await serverThat(server({ EHLO: ehlo("AUTH XOAUTH2") }));
    const pool = new SMTPPool({ ...options, auth: { user: "user", token }, maxConnections: 10 });
    const told = await settled(() => burst(pool, 20), 5);
    expect(told).toEqual({ value: Array(20).fill(expect.stringMatching(/^(?!ok)/)) });
    expect([calls, times("AUTH"), scripted?.conversations.length]).toEqual([1, 0, 1]);
    await pool.close();
  });

  it("without a login connections are opened at the same time, and none again", async () => {
    const pool = new SMTPPool({ ...(await serverThat([LATENCY, "554 no", close])), maxConnections: 5 });
    expect(await settled(() => burst(pool, 50), 5)).toEqual({
      value: Array(50).fill("SMTPConnectError 554 not-sent"),
    });
    expect(scripted?.conversations.length).toBeLessThanOrEqual(5);
    await pool.close();
  });
});

describe("until a login has succeeded", () => {
  it("one connection signs on, and then the others do", async () => {
    const { pool, server: fake } = pooled(
      { peer: { loopback: true }, ehlo: ["AUTH PLAIN"], on: { AUTH: "235 ok" } },
      { auth: AUTH, starttls: "never", maxConnections: 5 },
    );
    const sends = burst(pool, 5);
    await fake.saw(/^EHLO/);
    expect([fake.streams.length, pool.stats.connecting]).toEqual([1, 1]);
    expect(await sends).toEqual(Array(5).fill("ok"));
    await burst(pool, 5);
    expect(fake.streams).toHaveLength(5);
    expect(said(fake, "AUTH")).toHaveLength(5);
    await pool.close();
  });

  it("a check signs on before the messages, or after them", async () => {
    const { pool, server: fake } = pooled(
      { peer: { loopback: true }, ehlo: ["AUTH PLAIN"], on: { AUTH: ["535 no", "235 ok"] } },
      { auth: AUTH, starttls: "never", maxConnections: 5 },
    );
    const told = await Promise.all([outcome(pool.check()), burst(pool, 3)]);
    expect(told).toEqual([expect.stringMatching(/^SMTPAuth/), Array(3).fill("SMTPAuthenticationError 535 not-sent")]);
    expect(await Promise.all([burst(pool, 3), outcome(pool.check())])).toEqual([Array(3).fill("ok"), "ok"]);
    expect(said(fake, "AUTH").length).toBeLessThanOrEqual(5);
    await pool.close();
  });

  it("an aborted check does not stand for a refusal", async () => {
    let calls = 0;
    const answers = (): string | undefined => (calls++ === 0 ? undefined : "235 ok");
    const { pool, server: fake } = pooled(
      { peer: { loopback: true }, ehlo: ["AUTH PLAIN"], on: { AUTH: answers } },
      { auth: AUTH, starttls: "never" },
    );
    const abort = new AbortController();
    const checks = [pool.check({ signal: abort.signal }), pool.check({ signal: abort.signal })].map(outcome);
    const sent = outcome(send(pool));
    await fake.saw(/^AUTH/);
    abort.abort(new RangeError("enough"));
    expect(await Promise.all(checks)).toEqual(["RangeError", "RangeError"]);
    expect(await sent).toBe("ok");
    await pool.close();
  });
});

describe("a login that is refused after others have succeeded", () => {
  it("leaves the messages to the open connections, and is tried again after a pause, once", async () => {
    const fine = server({ EHLO: OFFER, AUTH: "235 ok", ".": [LATENCY, "250 ok"] });
    const changed = server({ EHLO: OFFER, AUTH: "535 changed" });
    const pool = new SMTPPool({ ...(await serverThat(fine, changed)), auth: AUTH, maxConnections: 3 });
    expect(await settled(() => burst(pool, 30), 10)).toEqual({ value: Array(30).fill("ok") });
    // One more login for each pause that has passed.
    expect(times("AUTH")).toBeLessThanOrEqual(5);
    const before = times("AUTH");
    expect(await settled(() => burst(pool, 30), 10)).toEqual({ value: Array(30).fill("ok") });
    expect(times("AUTH")).toBeLessThanOrEqual(before + 1);
    await pool.close();
  });

  it("rejects what waits when the last open connection has gone, and costs one more login", async () => {
    const fine = server({ EHLO: OFFER, AUTH: "235 ok" });
    const changed = server({ EHLO: OFFER, AUTH: [LATENCY, "535 changed"] });
    const options = { ...(await serverThat(fine, changed)), auth: AUTH, maxConnections: 3, maxMessages: 2 };
    const pool = new SMTPPool(options);
    const told = await settled(() => burst(pool, 30), 10);
    const refused = "SMTPAuthenticationError 535 not-sent";
    expect(told).toMatchObject({ value: expect.arrayContaining(["ok", refused]) });
    expect(times("AUTH")).toBeLessThanOrEqual(1 + 3);
    const before = times("AUTH");
    expect(await settled(() => burst(pool, 30), 10)).toEqual({ value: Array(30).fill(refused) });
    expect(times("AUTH")).toBe(before + 1);
    await pool.close();
  });

  it("does not hold up a message that has to go by a new connection", async () => {
    // The first message's connection dies when it is reused: the second message needs an unused connection.
    const dying = server({ EHLO: OFFER, AUTH: "235 ok", MAIL: inOrder("250 ok", close) });
    const changed = server({ EHLO: OFFER, AUTH: "535 changed" });
    const pool = new SMTPPool({ ...(await serverThat(dying, changed)), auth: AUTH, maxConnections: 2 });
    expect(await outcome(send(pool, "one"))).toBe("ok");
    expect(await settled(() => outcome(send(pool, "two")), 5)).toEqual({
      value: "SMTPAuthenticationError 535 not-sent",
    });
    expect(times("AUTH")).toBe(2);
    await pool.close();
  });
});
