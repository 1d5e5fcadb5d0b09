/** How a pool establishes connections: TLS, logins, tokens, LMTP, and check(). */
import { createMessage } from "@upyo/core";
import { describe, expect, it } from "vitest";
import {
  SMTPAuthenticationError,
  SMTPConnectError,
  SMTPException,
  SMTPNotSupportedError,
  SMTPPool,
  type Transport,
} from "../../src/index.ts";
import { smtplib } from "../../src/nodemailer/npm.ts";
import type { PoolOptions } from "../../src/pool/options.ts";
import { plain, xoauth2 } from "../../src/sasl/index.ts";
import { SmtplibTransport } from "../../src/upyo/index.ts";
import { memoryTransport } from "../../transports/memory.ts";
import type { Script } from "../client/fake-server.ts";
import { watchForLeaks } from "../hostile/scenario.ts";
import { startEmbeddedServer } from "../support/embedded-server.ts";
import { gate } from "../support/gate.ts";
import { MESSAGE, outcome, pooled, said, send } from "./pool.ts";

const AUTH = { user: "user", password: "password" };
const LOOPBACK = { peer: { loopback: true } };

watchForLeaks();

describe("TLS", () => {
  it.each(["starttls", "implicit"] as const)("by %s, with a login on each connection", async (tls) => {
    await using server = await startEmbeddedServer({ tls, auth: AUTH });
    const { host, port, ca } = server;
    const pool = new SMTPPool({
      host,
      port,
      secure: tls === "implicit",
      auth: AUTH,
      context: { ca },
      maxConnections: 2,
    });
    const sends = ["one", "two", "three", "four"].map((name) => send(pool, name));
    await Promise.all(sends);
    await pool.close();
    expect(server.messages).toHaveLength(4);
    for (const message of server.messages) expect(message).toMatchObject({ secure: true, user: "user" });
    expect(server.connections).toBe(2);
  });

  it("is demanded where there is a login, and not where there is none and it is not offered", async () => {
    await using server = await startEmbeddedServer({ tls: "none", auth: AUTH, settings: { authOptional: true } });
    const { host, port } = server;
    const [login, none] = [new SMTPPool({ host, port, auth: AUTH }), new SMTPPool({ host, port })];
    await expect(send(login)).rejects.toThrow(SMTPNotSupportedError);
    expect(await outcome(send(none))).toBe("ok");
    await Promise.all([login.close(), none.close()]);
    expect(server.messages).toMatchObject([{ user: undefined }]);
  });

  it("is taken where it is offered, and a certificate that is not trusted ends it", async () => {
    await using server = await startEmbeddedServer({ tls: "starttls" });
    const { host, port, ca } = server;
    const [trusting, strict] = [new SMTPPool({ host, port, context: { ca } }), new SMTPPool({ host, port })];
    expect(await outcome(send(trusting))).toBe("ok");
    const error = await send(strict).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ temporary: false, delivery: "not-sent" });
    await Promise.all([trusting.close(), strict.close()]);
    expect(server.messages).toMatchObject([{ secure: true }]);
  });

  it("goes on in clear where the server refuses it and it is not demanded", async () => {
    const { pool, server } = pooled({ ehlo: ["STARTTLS"], on: { STARTTLS: "454 not now" } });
    expect(await outcome(send(pool))).toBe("ok");
    expect(said(server, "STARTTLS")).toHaveLength(1);
    await pool.close();
    const options = { starttls: "required", reconnectFor: 0 } as const;
    const strict = pooled({ ehlo: ["STARTTLS"], on: { STARTTLS: "454 not now" } }, options);
    expect(await outcome(send(strict.pool))).toBe("SMTPResponseException 454 not-sent");
    expect(said(strict.server, "MAIL")).toEqual([]);
    await strict.pool.close();
  });
});

describe("STARTTLS that is demanded and not offered", () => {
  it("is an error that names the option, and that a development server may be spoken to in clear", async () => {
    const { pool, server } = pooled({ ehlo: ["AUTH PLAIN"] }, { auth: AUTH });
    const error = await send(pool).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ name: "SMTPNotSupportedError", capability: "STARTTLS", delivery: "not-sent" });
    expect(String(error)).toMatch(/starttls is "required".* loopback .*"opportunistic" or "never"/);
    await expect(pool.check()).rejects.toThrow('starttls: "opportunistic" or "never"');
    expect(said(server, "AUTH", "MAIL")).toEqual([]);
    await pool.close();
  });
});

describe("port 465", () => {
  const ways: readonly [string, (options: PoolOptions) => Sender][] = [
    ["SMTPPool", (options) => new SMTPPool({ host: "h", port: 465, ...options })],
    ["SMTPPool, in the host", (options) => new SMTPPool({ host: "h:465", ...options })],
    ["SMTPPool, in a URL", (options) => new SMTPPool("smtp://h:465", options)],
    ["nodemailer's transport", (options) => smtplib({ host: "h", port: 465, ...options })],
    ["nodemailer's transport, in a URL", (options) => smtplib("smtp://h:465", options)],
    ["Upyo's transport", (options) => new SmtplibTransport({ host: "h", port: 465, ...options })],
    ["Upyo's transport, in a URL", (options) => new SmtplibTransport("smtp://h:465", options)],
  ];

  it.each(ways)("begins with TLS, unless secure is false: %s", async (_, make) => {
    for (const secure of [undefined, false]) {
      const { transport, log } = spoken();
      const sender = make({ transport, secure, reconnectFor: 0, starttls: "never" });
      await call(sender);
      await sender.close();
      expect(log).toEqual(["connect 465", secure === false ? "read" : "TLS h"]);
    }
  });
});

type Sender = SMTPPool | SmtplibTransport | ReturnType<typeof smtplib>;

/** Makes a sender connect by its own method. */
function call(sender: Sender): Promise<unknown> {
  if (sender instanceof SMTPPool) return outcome(sender.check());
  if (sender instanceof SmtplibTransport) return sender.send(UPYO_MESSAGE);
  return outcome(sender.verify());
}

const UPYO_MESSAGE = createMessage({ from: "a@a.test", to: "b@b.test", subject: "x", content: { text: "x" } });

/** A connection that records its first use, and then fails. */
function spoken(): { transport: Transport; log: string[] } {
  const log: string[] = [];
  const fail = (what: string): Promise<never> => {
    log.push(what);
    return Promise.reject(new Error("that will do"));
  };
  const transport: Transport = async (endpoint) => {
    log.push(`connect ${"port" in endpoint ? endpoint.port : ""}`);
    return {
      read: () => fail("read"),
      write: () => undefined,
      startTls: ({ servername }) => fail(`TLS ${servername}`),
      close: async () => {},
      abort: () => {},
      peer: { remoteAddress: undefined, localAddress: undefined, loopback: false, tls: undefined },
    };
  };
  return { transport, log };
}

describe("a login", () => {
  it("shows no password to the network", async () => {
    const { pool, server } = pooled(
      { ehlo: ["AUTH PLAIN"], peer: { loopback: false } },
      { auth: AUTH, starttls: "never" },
    );
    expect(await outcome(send(pool))).toBe("SMTPNotSupportedError not-sent");
    expect(said(server, "AUTH", "MAIL")).toEqual([]);
    await pool.close();
  });

  it("may be a mechanism, or restricted to some", async () => {
    const script = { ...LOOPBACK, ehlo: ["AUTH LOGIN PLAIN"], on: { AUTH: "235 ok" } };
    const own = pooled(script, { auth: plain(AUTH), starttls: "never" });
    const some = pooled(script, { auth: { ...AUTH, mechanisms: ["PLAIN"] }, starttls: "never" });
    for (const { pool, server } of [own, some]) {
      expect(await outcome(send(pool))).toBe("ok");
      expect(said(server, "AUTH").join()).toMatch(/^AUTH PLAIN /);
      await pool.close();
    }
  });

  it.each<[name: string, token: () => Promise<string>]>([
    ["rejects", () => Promise.reject(new TypeError("fetch failed"))],
    [
      "throws",
      () => {
        throw new TypeError("fetch failed");
      },
    ],
    ["gives no token", async () => JSON.parse("null")],
  ])("whose token function %s is an SMTPException with that cause, and nothing is sent", async (_, token) => {
    for (const auth of [{ user: "user", token }, xoauth2({ user: "user", token })]) {
      const script = { ...LOOPBACK, ehlo: ["AUTH XOAUTH2 OAUTHBEARER"], on: { AUTH: "235 ok" } };
      const { pool, server } = pooled(script, { auth, starttls: "never" });
      for (const sent of [send(pool), pool.check()]) {
        const error = await sent.catch((reason: unknown) => reason);
        expect(error).toBeInstanceOf(SMTPException);
        expect(error).not.toBeInstanceOf(SMTPAuthenticationError);
        expect(error).toMatchObject({
          message: expect.stringMatching(/^the token function failed: /),
          cause: expect.any(TypeError),
        });
      }
      expect(await outcome(send(pool))).toBe("SMTPException not-sent");
      expect(said(server, "AUTH", "MAIL")).toEqual([]);
      await pool.close();
    }
  });

  it("by a mechanism asks its token function once more after a bare 535", async () => {
    const tokens = ["stale", "fresh"];
    const good = btoa("user=user\x01auth=Bearer fresh\x01\x01");
    const on = { AUTH: (line: string) => (line.endsWith(good) ? "235 ok" : "535 no") };
    const auth = xoauth2({ user: "user", token: async () => tokens.shift() ?? "none" });
    const { pool, server } = pooled({ ...LOOPBACK, ehlo: ["AUTH XOAUTH2"], on }, { auth, starttls: "never" });
    expect(await outcome(send(pool))).toBe("ok");
    expect(said(server, "AUTH")).toHaveLength(2);
    await pool.close();
  });

  it("where STARTTLS was refused and the server hangs up tells of that refusal", async () => {
    const on = { STARTTLS: "554 no TLS for you", AUTH: "close" };
    const script = { ...LOOPBACK, ehlo: ["STARTTLS", "AUTH PLAIN"], on };
    const { pool } = pooled(script, { auth: AUTH, starttls: "opportunistic" });
    const error = await send(pool).catch((reason: unknown) => reason);
    expect(error).toMatchObject({
      name: "SMTPResponseException",
      smtp_code: 554,
      temporary: false,
      cause: { name: "SMTPServerDisconnected" },
    });
    await pool.close();
  });

  it.each<[string, Script, PoolOptions, object]>([
    [
      "454 to STARTTLS, and a password that would be shown",
      { ehlo: ["STARTTLS", "AUTH PLAIN"], on: { STARTTLS: ["454 4.7.0 not now", "220 go"] } },
      { starttls: "opportunistic" },
      { name: "SMTPResponseException", smtp_code: 454, temporary: true, cause: { capability: "STARTTLS" } },
    ],
    [
      "454 to STARTTLS, and no AUTH without it",
      { ehlo: ["STARTTLS"], on: { STARTTLS: "454 4.7.0 not now" } },
      { starttls: "opportunistic" },
      { name: "SMTPResponseException", smtp_code: 454, temporary: true, cause: { capability: "AUTH" } },
    ],
    [
      "451 to EHLO, and HELO, which offers no AUTH",
      { on: { EHLO: "451 4.3.2 later" } },
      { starttls: "never" },
      { name: "SMTPHeloError", smtp_code: 451, temporary: true, cause: { capability: "AUTH" } },
    ],
    [
      "451 to EHLO, and HELO, which offers no STARTTLS",
      { on: { EHLO: "451 4.3.2 later" } },
      { auth: undefined, starttls: "required" },
      { name: "SMTPHeloError", smtp_code: 451, temporary: true, cause: { capability: "STARTTLS" } },
    ],
    [
      "550 to EHLO, and HELO, which offers no STARTTLS",
      { on: { EHLO: "550 5.7.1 bad name" } },
      {},
      { name: "SMTPHeloError", smtp_code: 550, temporary: false, cause: { capability: "STARTTLS" } },
    ],
  ])("tells of the refusal that it fails for: %s", async (_, script, options, expected) => {
    const peer = { loopback: false };
    const { pool, server } = pooled({ ...script, peer }, { auth: AUTH, reconnectFor: 0.3, ...options });
    const error = await send(pool).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ ...expected, delivery: "not-sent" });
    expect(server.streams.length > 1).toBe(error instanceof SMTPException && error.temporary);
    expect(said(server, "AUTH", "MAIL")).toEqual([]);
    await pool.close();
  });

  it("comes about once EHLO, which was refused for now, is accepted", async () => {
    const on = { EHLO: ["451 4.3.2 later", "250-fake\r\n250 AUTH PLAIN"], AUTH: "235 ok" };
    const { pool } = pooled({ ...LOOPBACK, on }, { auth: AUTH, starttls: "never" });
    expect(await outcome(send(pool))).toBe("ok");
    await pool.close();
  });

  it("may be for somebody else", async () => {
    const auth = { ...AUTH, authzid: "boss" };
    const { pool, server } = pooled(
      { ehlo: ["AUTH PLAIN"], on: { AUTH: "235 in" }, ...LOOPBACK },
      { auth, starttls: "never" },
    );
    expect(await outcome(send(pool))).toBe("ok");
    expect(said(server, "AUTH")).toEqual([`AUTH PLAIN ${btoa("boss\0user\0password")}`]);
    await pool.close();
  });

  it("asks a token function once for all connections that log in at a time, and again for an expired token", async () => {
    const expired = btoa('{"status":"401"}');
    const bearer = (token: string): string => btoa(`user=user\x01auth=Bearer ${token}\x01\x01`);
    let good = bearer("first");
    const on = { AUTH: (line: string) => (line.endsWith(good) ? "235 ok" : `334 ${expired}`), "": "535 expired" };
    const answered = gate();
    const tokens = ["first", "first", "fresh"];
    let calls = 0;
    const token = async (): Promise<string> => {
      const given = tokens[calls++] ?? "fresh";
      if (calls > 1) await answered.opened;
      return given;
    };
    const { pool, server } = pooled(
      { ...LOOPBACK, ehlo: ["AUTH XOAUTH2"], on },
      { auth: { user: "user", token }, starttls: "never", maxConnections: 4 },
    );
    await send(pool, "zero");
    good = bearer("fresh");
    const sends = Promise.all(["one", "two", "three", "four"].map((name) => send(pool, name)));
    await server.until(({ lines }) => lines.filter((line) => line.startsWith("EHLO")).length === 4);
    for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve));
    expect(calls).toBe(2);
    answered.open();
    await sends;
    await server.until(({ lines }) => lines.filter((line) => line.endsWith(good)).length === 3);
    // One call for the three that got the expired token, and at most one for each fresh token.
    expect(calls).toBeGreaterThanOrEqual(3);
    expect(calls).toBeLessThanOrEqual(5);
    expect(said(server, "AUTH").filter((line) => line.endsWith(good))).toHaveLength(3);
    await pool.close();
  });
});

describe("LMTP", () => {
  it("tells who was refused after the data", async () => {
    const on = { ".": "250 ok\r\n550 5.2.2 over quota" };
    const { pool, server } = pooled({ on }, { protocol: "lmtp" });
    const refused = await pool.sendmail("a@a.test", ["b@b.test", "c@b.test"], MESSAGE);
    expect(Object.keys(refused)).toEqual(["c@b.test"]);
    expect(server.lines[0]).toMatch(/^LHLO /);
    await pool.close();
  });
});

describe("check()", () => {
  it("connects, logs in, says NOOP and QUIT, and leaves no connection", async () => {
    const script = { ...LOOPBACK, ehlo: ["AUTH PLAIN"], on: { AUTH: "235 ok" } };
    const { pool, server } = pooled(script, { auth: AUTH, starttls: "never" });
    await pool.check();
    expect(pool.stats).toMatchObject({ connections: 0, sent: 0, failed: 0 });
    await pool.close();
    expect(server.lines.map((line) => line.split(" ", 1)[0])).toEqual(["EHLO", "AUTH", "NOOP", "QUIT"]);
    await expect(pool.check()).rejects.toThrow("closed");
  });

  it("says nothing of a message, although the messages that wait learn the same", async () => {
    const script = { ...LOOPBACK, ehlo: ["AUTH PLAIN"], on: { AUTH: "535 no" } };
    const { pool } = pooled(script, { auth: AUTH, starttls: "never" });
    const calls: Promise<unknown>[] = [pool.check(), send(pool)];
    const [checked, sent] = await Promise.all(calls.map((call) => call.catch((error) => error)));
    expect(checked).toMatchObject({ name: "SMTPAuthenticationError", smtp_code: 535, delivery: undefined });
    expect(sent).toBeInstanceOf(SMTPAuthenticationError);
    const { message, reply } = Object(checked);
    expect(sent).toMatchObject({ message, reply, smtp_code: 535, delivery: "not-sent" });
    expect(String(Reflect.get(Object(sent), "stack"))).toContain("SMTPAuthenticationError");
    await pool.close();
  });

  it("throws what is wrong", async () => {
    const refused = pooled(
      { ...LOOPBACK, ehlo: ["AUTH PLAIN"], on: { AUTH: "535 no" } },
      { auth: AUTH, starttls: "never" },
    );
    await expect(refused.pool.check()).rejects.toThrow(SMTPAuthenticationError);
    const closed = pooled({ greeting: "554 no" });
    await expect(closed.pool.check()).rejects.toThrow(SMTPConnectError);
    const connected = gate();
    const transport = memoryTransport(() => connected.open());
    const silent = { pool: new SMTPPool({ host: "mail.example.com", transport }) };
    const abort = new AbortController();
    const checked = outcome(silent.pool.check({ signal: abort.signal }));
    await connected.opened;
    abort.abort(new RangeError("enough"));
    expect(await checked).toBe("RangeError");
    await Promise.all([refused, closed, silent].map(({ pool }) => pool.close()));
  });
});
