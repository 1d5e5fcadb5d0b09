/** Mail through the test's own proxies: deliveries, refusals, and the errors. */
import os from "node:os";
import path from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import {
  SMTP,
  SMTP_SSL,
  SMTPConnectError,
  SMTPNotSupportedError,
  type SMTPOptions,
  SMTPPool,
  SMTPTimeoutError,
  TlsError,
  type Transport,
} from "../../src/index.ts";
import { httpConnect, ProxyError, socks } from "../../src/proxy/index.ts";
import { memoryTransport } from "../../transports/memory.ts";
import { certificates, fingerprint256 } from "../support/certificates.ts";
import { type EmbeddedOptions, type EmbeddedServer, startEmbeddedServer } from "../support/embedded-server.ts";
import { reasonOf } from "../transports/bytes.ts";
import { type ScriptedProxy, type ScriptedProxyOptions, startScriptedProxy } from "./scripted-proxy.ts";

const account = { user: "ada", password: "correct horse" };
const letter = "Subject: Hello\n\nHi!\n";

type Options = Parameters<typeof socks>[0] & Parameters<typeof httpConnect>[0];

/** The ways through a proxy: the scripted proxy, and the transport for it. */
const ways: Record<string, { proxy: ScriptedProxyOptions; transport: (at: Options, via?: Transport) => Transport }> = {
  SOCKS5: { proxy: { kind: "SOCKS5" }, transport: socks },
  "SOCKS5 with a password": {
    proxy: { kind: "SOCKS5", ...account },
    transport: (at, via) => socks({ ...at, ...account }, via),
  },
  SOCKS4a: { proxy: { kind: "SOCKS4a" }, transport: (at, via) => socks({ ...at, version: "4a" }, via) },
  HTTP: { proxy: { kind: "HTTP" }, transport: httpConnect },
  "HTTP with a password": {
    proxy: { kind: "HTTP", ...account },
    transport: (at, via) => httpConnect({ ...at, ...account }, via),
  },
};

/** A mail server whose name only the proxies know. */
async function mailServer(options: EmbeddedOptions = {}): Promise<EmbeddedServer & { hosts: Record<string, number> }> {
  const server = await startEmbeddedServer({ auth: account, settings: { authOptional: true }, ...options });
  onTestFinished(() => server.close());
  return Object.assign(server, { hosts: { "mail.example.test": server.port } });
}

async function sends(server: EmbeddedServer, smtp: SMTP): Promise<void> {
  onTestFinished(() => smtp.close());
  expect(await smtp.sendmail("ada@example.com", "charles@example.net", letter)).toEqual({});
  await smtp.quit();
  expect(server.messages.at(-1)).toMatchObject({ from: "ada@example.com", to: ["charles@example.net"] });
}

describe.each(Object.entries(ways))("through %s", (_, { proxy: kind, transport }) => {
  it("sends mail after STARTTLS and a login; the proxy resolves the name", async () => {
    const server = await mailServer();
    const proxy = await startScriptedProxy({ ...kind, hosts: server.hosts });
    const smtp = await SMTP.connect("mail.example.test", 587, { transport: transport(proxy) });
    await smtp.starttls({ ca: server.ca, servername: "localhost" });
    await smtp.login(account.user, account.password);
    await sends(server, smtp);
    expect(server.messages.at(-1)).toMatchObject({ secure: true, user: "ada" });
    expect(proxy.targets).toEqual(["mail.example.test:587"]);
    await proxy.idle();
  });

  it("takes what comes with the proxy's last answer for the server's first words", async () => {
    const server = await mailServer();
    const proxy = await startScriptedProxy({ ...kind, joins: true });
    await sends(server, await SMTP.connect("127.0.0.1", server.port, { transport: transport(proxy) }));
  });

  it("takes nobody behind a proxy on this machine for this machine: no password in clear", async () => {
    const server = await mailServer({ tls: "none" });
    const proxy = await startScriptedProxy(kind);
    const smtp = await SMTP.connect("127.0.0.1", server.port, { transport: transport(proxy) });
    onTestFinished(() => smtp.close());
    const login = smtp.login(account.user, account.password, { mechanisms: ["PLAIN"] });
    expect(await reasonOf(login)).toBeInstanceOf(SMTPNotSupportedError);
    expect(smtp.peer).toEqual({ remoteAddress: undefined, localAddress: undefined, loopback: false, tls: undefined });
  });

  it("says so when the proxy hangs up, and leaves no connection", async () => {
    const proxy = await startScriptedProxy({ ...kind, says: "" });
    const error = await refusal(transport(proxy));
    expect(error.message).toContain(`proxy 127.0.0.1:${proxy.port} closed the connection before it answered`);
    await proxy.idle();
  });

  it("says so when it is no proxy, without waiting for more", async () => {
    const proxy = await startScriptedProxy({ ...kind, says: "220 mail.example.com ESMTP\r\n", holds: true });
    expect((await refusal(transport(proxy))).message).toMatch(/not speak/);
    await proxy.idle();
  });

  it("says so when nobody listens", async () => {
    const proxy = await startScriptedProxy(kind);
    const error = await refusal(transport({ host: "127.0.0.1", port: 1 }));
    expect(error.message).toMatch(/proxy 127\.0\.0\.1:1 cannot be reached: /);
    expect(proxy.connections).toBe(0);
  });

  it("ends in time when the proxy says nothing", async () => {
    const proxy = await startScriptedProxy({ ...kind, holds: true });
    const options: SMTPOptions = { transport: transport(proxy), timeouts: { connect: 0.2 } };
    const error = await reasonOf(SMTP.connect("mail.example.test", 587, options));
    expect(error).toBeInstanceOf(SMTPTimeoutError);
    expect(error).toMatchObject({ phase: "connect" });
    await proxy.idle();
  });

  it("is given up with the reason of a signal while the proxy is silent", async () => {
    const proxy = await startScriptedProxy({ ...kind, holds: true });
    const controller = new AbortController();
    const connecting = reasonOf(transport(proxy)({ host: "a.test", port: 25 }, { signal: controller.signal }));
    while (proxy.heard.length === 0) await new Promise((resolve) => setImmediate(resolve));
    const reason = new Error("changed my mind");
    controller.abort(reason);
    expect(await connecting).toBe(reason);
    await proxy.idle();
  });

  it("is not begun where the signal has fired already", async () => {
    const proxy = await startScriptedProxy(kind);
    const signal = AbortSignal.abort(new Error("no time"));
    expect(await reasonOf(transport(proxy)({ host: "a.test", port: 25 }, { signal }))).toBe(signal.reason);
    expect(proxy.connections).toBe(0);
  });

  it.each(["mail.example.test\r\nX-Injected: yes", "mail.example.test\0", "mail example", "::1%lo"])(
    "writes nothing for a host that cannot be: %j",
    async (host) => {
      const proxy = await startScriptedProxy(kind);
      expect(await reasonOf(transport(proxy)({ host, port: 25 }, {}))).toBeInstanceOf(RangeError);
      expect(await reasonOf(transport(proxy)({ path: "/run/lmtp" }, {}))).toBeInstanceOf(TypeError);
      expect(proxy.connections).toBe(0);
    },
  );

  it("reaches the proxy by a Unix socket", async () => {
    const server = await mailServer();
    const file = path.join(os.tmpdir(), `proxy-${process.pid}-${Math.random().toString(36).slice(2)}.sock`);
    const proxy = await startScriptedProxy({ ...kind, path: file });
    await sends(server, await SMTP.connect("127.0.0.1", server.port, { transport: transport({ path: file }) }));
    expect(proxy.connections).toBe(1);
  });

  it("reaches the proxy from the source address asked for", async () => {
    const server = await mailServer();
    const proxy = await startScriptedProxy(kind);
    const options: SMTPOptions = { transport: transport(proxy), source_address: ["127.0.0.9", 0] };
    await sends(server, await SMTP.connect("127.0.0.1", server.port, options));
    expect(proxy.clients).toEqual(["127.0.0.9"]);
  });

  it("leads to a server whose certificate is pinned", async () => {
    const server = await mailServer();
    const { good } = await certificates();
    const proxy = await startScriptedProxy(kind);
    const pinned = { rejectUnauthorized: false, fingerprint256: fingerprint256(good.cert) };
    const smtp = await SMTP.connect("127.0.0.1", server.port, { transport: transport(proxy) });
    await smtp.starttls(pinned);
    await sends(server, smtp);
    const other = await SMTP.connect("127.0.0.1", server.port, { transport: transport(proxy) });
    const error = await reasonOf(other.starttls({ ...pinned, fingerprint256: "00".repeat(32) }));
    expect(error).toMatchObject({ cause: { failure: "fingerprint" } });
  });

  it("leads to a server that speaks TLS from the first byte on", async () => {
    const server = await mailServer({ tls: "implicit" });
    const proxy = await startScriptedProxy(kind);
    const context = { ca: server.ca, servername: "localhost" };
    await sends(server, await SMTP_SSL.connect("127.0.0.1", server.port, { transport: transport(proxy), context }));
  });

  it("takes nothing in clear for a part of TLS", async () => {
    const server = await mailServer();
    const proxy = await startScriptedProxy({ ...kind, joins: true });
    const connecting = SMTP_SSL.connect("127.0.0.1", server.port, { transport: transport(proxy) });
    expect(await reasonOf(connecting)).toMatchObject({ name: "SMTPConnectError", smtp_error: /in clear/ });
  });
});

describe("a refusal", () => {
  it.each<[string, ScriptedProxyOptions, Parameters<typeof socks>[0] | undefined, RegExp, number]>([
    ["of SOCKS5 without credentials", { kind: "SOCKS5", ...account }, {} as never, /give it user and password/, 255],
    [
      "of SOCKS5 for a wrong password",
      { kind: "SOCKS5", ...account },
      { user: "ada", password: "wrong" } as never,
      /refused user and password/,
      1,
    ],
    [
      "of SOCKS5 for any credentials",
      { kind: "SOCKS5", says: Uint8Array.of(5, 255) },
      { user: "ada", password: "wrong" } as never,
      /accepts neither user and password nor no authentication/,
      255,
    ],
    [
      "of SOCKS4a",
      { kind: "SOCKS4a", says: Uint8Array.of(0, 91, 0, 0, 0, 0, 0, 0) },
      { version: "4a" } as never,
      /rejected or failed \(91\)/,
      91,
    ],
    [
      "of HTTP without credentials",
      { kind: "HTTP", ...account },
      undefined,
      /407 Proxy Authentication Required; it asks for: Basic/,
      407,
    ],
    [
      "of HTTP",
      { kind: "HTTP", says: "HTTP/1.1 403 Filtered\r\n\r\n" },
      undefined,
      /refused to connect: 403 Filtered/,
      403,
    ],
  ])("%s is told in the proxy's words", async (_, script, options, says, code) => {
    const proxy = await startScriptedProxy(script);
    const { host, port } = proxy;
    const error = await refusal(
      options === undefined ? httpConnect({ host, port }) : socks({ ...options, host, port }),
    );
    expect(error.message).toMatch(says);
    expect(error.code).toBe(code);
    await proxy.idle();
  });

  it("shows no password", async () => {
    const proxy = await startScriptedProxy({ kind: "HTTP", user: "ada", password: "another" });
    const { host, port } = proxy;
    const error = await refusal(httpConnect({ host, port, ...account }));
    const shown = `${error.stack}${String(error.cause)}`;
    for (const secret of ["horse", btoa("ada:correct horse")]) expect(shown).not.toContain(secret);
  });
});

describe("whether a refusal can pass", () => {
  const plain = { version: 5 } as const;
  const old = { version: "4a" } as const;
  const socks4 = (code: number) => Uint8Array.of(0, code, 0, 0, 0, 0, 0, 0);
  const http = (status: string) => `HTTP/1.1 ${status}\r\n\r\n`;
  const greeting = "220 mail.example.com ESMTP\r\n";

  it.each<[string, ScriptedProxyOptions, object | undefined, boolean]>([
    ["SOCKS5: no credentials", { kind: "SOCKS5", ...account }, plain, true],
    ["SOCKS5: wrong credentials", { kind: "SOCKS5", ...account }, { user: "ada", password: "wrong" }, true],
    ["SOCKS5: a method that was not offered", { kind: "SOCKS5", says: Uint8Array.of(5, 1) }, plain, true],
    ["SOCKS5: another protocol", { kind: "SOCKS5", says: greeting }, plain, true],
    ["SOCKS4a: another protocol", { kind: "SOCKS4a", says: greeting }, old, true],
    ["SOCKS4a: rejected or failed", { kind: "SOCKS4a", says: socks4(91) }, old, false],
    ["SOCKS4a: no identd", { kind: "SOCKS4a", says: socks4(92) }, old, true],
    ["SOCKS4a: another user", { kind: "SOCKS4a", says: socks4(93) }, old, true],
    ["HTTP: another protocol", { kind: "HTTP", says: greeting }, undefined, true],
    ["HTTP: no status", { kind: "HTTP", says: "HTTP/1.1 what\r\n\r\n" }, undefined, true],
    ["HTTP: 407", { kind: "HTTP", ...account }, undefined, true],
    ["HTTP: 403", { kind: "HTTP", says: http("403 Filtered") }, undefined, true],
    ["HTTP: 404", { kind: "HTTP", says: http("404 Not Found") }, undefined, true],
    ["HTTP: 408", { kind: "HTTP", says: http("408 Request Timeout") }, undefined, false],
    ["HTTP: 429", { kind: "HTTP", says: http("429 Too Many Requests") }, undefined, false],
    ["HTTP: 502", { kind: "HTTP", says: http("502 Bad Gateway") }, undefined, false],
    ["HTTP: the proxy hangs up", { kind: "HTTP", says: "" }, undefined, false],
  ])("%s", async (_, script, options, permanent) => {
    const proxy = await startScriptedProxy(script);
    const transport = options === undefined ? httpConnect(at(proxy)) : socks({ ...at(proxy), ...options });
    expect(await refusal(transport)).toHaveProperty("permanent", permanent);
  });

  it.each([
    [1, false],
    [2, true],
    [3, false],
    [4, false],
    [5, false],
    [6, false],
    [7, true],
    [8, true],
  ])("SOCKS5: the code %i", async (code, permanent) => {
    const answers = memoryTransport(async (server) => {
      await server.read();
      await server.write(Uint8Array.of(5, 0));
      await server.read();
      await server.write(Uint8Array.of(5, code, 0, 1, 0, 0, 0, 0, 0, 0));
    });
    expect(await refusal(socks({ host: "p" }, answers))).toMatchObject({ code, permanent });
  });

  it("is the last proxy's to say where one leads to the next", async () => {
    const first = await startScriptedProxy({ kind: "SOCKS5", ...account });
    const wrong = socks({ ...at(first), user: "ada", password: "wrong" });
    expect(await refusal(httpConnect({ host: "p", port: 1 }, wrong))).toHaveProperty("permanent", true);
    expect(await refusal(socks({ host: "127.0.0.1", port: 1 }))).toHaveProperty("permanent", false);
  });

  it("and where it cannot, a pool asks the proxy once and rejects", async () => {
    const proxy = await startScriptedProxy({ kind: "HTTP", ...account });
    const transport = httpConnect({ ...at(proxy), user: "ada", password: "wrong" });
    const pool = new SMTPPool({ host: "mail.example.test", port: 25, transport, maxConnections: 1 });
    const began = performance.now();
    const error = await reasonOf(pool.sendmail("ada@example.com", "charles@example.net", letter));
    expect(error).toMatchObject({ name: "SMTPConnectError", temporary: false, cause: { code: 407 } });
    expect(performance.now() - began).toBeLessThan(5_000);
    expect(proxy.connections).toBe(1);
    await pool.close();
  });

  it("no advice about the server's port goes with it", async () => {
    const proxy = await startScriptedProxy({ kind: "HTTP", says: http("503 Busy") });
    const error = await reasonOf(SMTP.connect("mail.example.test", 25, { transport: httpConnect(at(proxy)) }));
    expect(String(error)).toMatch(/503 Busy$/);
  });
});

describe("TLS to the proxy", () => {
  it.each([undefined, "implicit"] as const)("carries the TLS of the session within (%s)", async (mode) => {
    const server = await mailServer(mode === undefined ? {} : { tls: mode });
    const { ca, good } = await certificates();
    const proxy = await startScriptedProxy({ kind: "HTTP", tls: good, ...account });
    const transport = httpConnect({ host: "localhost", port: proxy.port, tls: { ca }, ...account });
    const context = { ca, servername: "localhost" };
    if (mode === "implicit") {
      await sends(server, await SMTP_SSL.connect("127.0.0.1", server.port, { transport, context }));
    } else {
      const smtp = await SMTP.connect("127.0.0.1", server.port, { transport });
      expect(smtp.peer?.tls).toBeUndefined();
      await smtp.starttls(context);
      expect(smtp.peer?.tls).toMatchObject({ verified: true });
      await smtp.login(account.user, account.password);
      await sends(server, smtp);
    }
    expect(server.messages.at(-1)).toMatchObject({ secure: true });
    await proxy.idle();
  });

  it("makes no password safe on the way behind it", async () => {
    const server = await mailServer({ tls: "none" });
    const { ca, good } = await certificates();
    const proxy = await startScriptedProxy({ kind: "HTTP", tls: good });
    const transport = httpConnect({ host: "localhost", port: proxy.port, tls: { ca } });
    const smtp = await SMTP.connect("127.0.0.1", server.port, { transport });
    onTestFinished(() => smtp.close());
    const login = smtp.login(account.user, account.password, { mechanisms: ["PLAIN"] });
    expect(await reasonOf(login)).toBeInstanceOf(SMTPNotSupportedError);
  });

  it("is verified: a wrong name or authority ends it before anything is asked", async () => {
    const { ca, otherCa, good, wrongName } = await certificates();
    for (const [pair, trusted] of [
      [wrongName, ca],
      [good, otherCa],
    ] as const) {
      const proxy = await startScriptedProxy({ kind: "HTTP", tls: pair });
      const transport = httpConnect({ host: "localhost", port: proxy.port, tls: { ca: trusted } });
      const error = await reasonOf(SMTP.connect("mail.example.test", 587, { transport }));
      expect(error).toMatchObject({ temporary: false, cause: expect.any(TlsError) });
      expect(String(error)).toMatch(/TLS to the HTTP proxy localhost:/);
      expect(proxy.heard).toEqual([]);
    }
  });

  it("is given up with the reason of a signal during the handshake", async () => {
    const silent = await startScriptedProxy({ kind: "HTTP", holds: true });
    const transport = httpConnect({ host: "localhost", port: silent.port, tls: {} });
    const controller = new AbortController();
    const connecting = reasonOf(transport({ host: "a.test", port: 25 }, { signal: controller.signal }));
    while (silent.heard.length === 0) await new Promise((resolve) => setImmediate(resolve));
    const reason = new Error("changed my mind");
    controller.abort(reason);
    // Deno keeps the socket of an unfinished handshake until the peer ends it, see transports/deno.ts.
    expect(await connecting).toBe(reason);
  });

  it("takes a proxy whose certificate is pinned", async () => {
    const server = await mailServer();
    const { selfSigned } = await certificates();
    const proxy = await startScriptedProxy({ kind: "HTTP", tls: selfSigned });
    const tls = { rejectUnauthorized: false, fingerprint256: fingerprint256(selfSigned.cert) };
    const transport = httpConnect({ host: "localhost", port: proxy.port, tls });
    const smtp = await SMTP.connect("127.0.0.1", server.port, { transport });
    await smtp.starttls({ ca: server.ca });
    await sends(server, smtp);
  });
});

describe("a pool", () => {
  it("sends all its mail through a proxy", async () => {
    const server = await mailServer();
    const proxy = await startScriptedProxy({ kind: "SOCKS5", hosts: server.hosts });
    const pool = new SMTPPool({
      host: "mail.example.test",
      port: 587,
      transport: socks(at(proxy)),
      context: { ca: server.ca, servername: "localhost" },
      auth: account,
      maxConnections: 2,
    });
    await Promise.all(
      Array.from({ length: 10 }, () => pool.sendmail("ada@example.com", "charles@example.net", letter)),
    );
    await pool.close();
    expect(server.messages.map(({ secure, user }) => [secure, user])).toEqual(new Array(10).fill([true, "ada"]));
    expect(new Set(proxy.targets)).toEqual(new Set(["mail.example.test:587"]));
    expect(proxy.connections).toBeLessThanOrEqual(2);
    await proxy.idle();
  });
});

describe("proxies behind proxies", () => {
  it("compose, in any order, with TLS to each and to the server", async () => {
    const server = await mailServer();
    const { ca, good } = await certificates();
    const first = await startScriptedProxy({ kind: "SOCKS5" });
    const second = await startScriptedProxy({ kind: "HTTP", tls: good });
    const third = await startScriptedProxy({ kind: "HTTP", tls: good, hosts: server.hosts });
    const tls = { ca, servername: "localhost" };
    const transport = httpConnect(
      { host: "127.0.0.1", port: third.port, tls },
      httpConnect({ host: "127.0.0.1", port: second.port, tls }, socks(at(first))),
    );
    const smtp = await SMTP.connect("mail.example.test", 587, { transport });
    await smtp.starttls(tls);
    await sends(server, smtp);
    expect([first.targets, second.targets, third.targets]).toEqual([
      [`127.0.0.1:${second.port}`],
      [`127.0.0.1:${third.port}`],
      ["mail.example.test:587"],
    ]);
    await Promise.all([first.idle(), second.idle(), third.idle()]);
  });

  it("say which of them refused", async () => {
    const first = await startScriptedProxy({ kind: "SOCKS5" });
    const second = await startScriptedProxy({ kind: "HTTP", says: "HTTP/1.1 503 Busy\r\n\r\n" });
    const error = await refusal(httpConnect(at(second), socks(at(first))));
    expect(error.message).toMatch(new RegExp(`^the HTTP proxy 127\\.0\\.0\\.1:${second.port} refused to connect: 503`));
  });
});

describe("an option of TLS to the proxy that cannot be meant", () => {
  it.each<[object, string]>([
    [{ cas: "x" }, 'tls has no option "cas"'],
    [{ minVersion: "TLSv1.1" }, "tls.minVersion must be"],
    [{ ciphers: "" }, "tls.ciphers must not be empty"],
    [{ groups: 25519 }, "tls.groups must be a string"],
    [{ rejectUnauthorized: "no" }, "tls.rejectUnauthorized must be a boolean"],
    [{ ca: [5] }, "tls.ca must be a string"],
    [{ cert: "x" }, "tls.cert and tls.key go together"],
  ])("throws at once and names it: %j", (tls, message) => {
    expect(() => httpConnect({ host: "p", port: 1, tls })).toThrow(message);
  });
});

describe("an option that cannot be meant", () => {
  it.each<[string, () => unknown]>([
    ["a password without a user", () => socks({ host: "p", password: "x" })],
    ["a user without a password", () => httpConnect({ host: "p", port: 1, user: "x" })],
    ["a password for SOCKS4a", () => socks({ host: "p", version: "4a", user: "u", password: "x" })],
    ["another version", () => socks({ host: "p", version: 4 as never })],
    ["no port for HTTP", () => httpConnect({ host: "p" })],
    ["a user with a line break", () => socks({ host: "p", user: "u\r\nx", password: "x" })],
    ["a user with a NUL for SOCKS4a", () => socks({ host: "p", version: "4a", user: "u\0x" })],
    ["a password with a line break", () => httpConnect({ host: "p", port: 1, user: "u", password: "x\nX: y" })],
    ["a user with a colon for HTTP", () => httpConnect({ host: "p", port: 1, user: "u:v", password: "x" })],
    ["an empty user for SOCKS5", () => socks({ host: "p", user: "", password: "x" })],
    ["a password that is too long for SOCKS5", () => socks({ host: "p", user: "u", password: "é".repeat(128) })],
    ["half of a character", () => socks({ host: "p", user: "u", password: "\ud800" })],
    ["a host with a space", () => socks({ host: "p q" })],
    ["a host that is no text", () => socks({ host: 5 as never })],
    ["a password that is no text", () => httpConnect({ host: "p", port: 1, user: "u", password: 5 as never })],
    ["TLS that is no object", () => httpConnect({ host: "p", port: 1, tls: true as never })],
    ["TLS that is null", () => httpConnect({ host: "p", port: 1, tls: null as never })],
    ["a URL for SOCKS", () => socks("socks5://ada:horse@127.0.0.1:1080" as never)],
    ["a URL for HTTP", () => httpConnect("http://ada:horse@127.0.0.1:3128" as never)],
    ["TLS to a Unix socket without a name", () => httpConnect({ path: "/run/proxy", tls: {} })],
  ])("throws at once: %s", (_, make) => {
    let thrown: unknown;
    try {
      make();
    } catch (error) {
      thrown = error;
    }
    expect(thrown === undefined ? thrown : Object.getPrototypeOf(thrown)).toSatisfy(
      (prototype) => prototype === TypeError.prototype || prototype === RangeError.prototype,
    );
    expect(String(thrown)).not.toMatch(/X: y|é|horse/);
  });
});

it("counts no more of an endless answer than there can be", async () => {
  let octets = 0;
  const endless = memoryTransport(async (server) => {
    await server.read();
    for (let chunk = "HTTP/1.1 200 OK\r\n"; ; chunk = `X: ${"y".repeat(1_000)}\r\n`) {
      await server.write(new TextEncoder().encode(chunk));
      octets += chunk.length;
    }
  });
  const error = await refusal(httpConnect({ host: "p", port: 1 }, endless));
  expect(error.message).toMatch(/more than 16384 octets/);
  expect(octets).toBeLessThan(200_000);
});

it.each<[name: string, thrown: unknown, says: RegExp]>([
  ["an error", new Error("no way"), /^the SOCKS5 proxy \/run\/proxy cannot be reached: no way$/],
  ["something else", "no way", /^the SOCKS5 proxy \/run\/proxy cannot be reached: no way$/],
])("names the proxy that its way does not lead to, by %s", async (_, thrown, says) => {
  const nowhere: Transport = () => Promise.reject(thrown);
  const error = await refusal(socks({ path: "/run/proxy" }, nowhere));
  expect(error.message).toMatch(says);
  expect(error.cause).toBe(thrown);
});

it("leaves a mistake of the caller's in the way to the proxy as it is", async () => {
  const wrong = new TypeError("no such option");
  const transport = socks({ host: "p" }, () => Promise.reject(wrong));
  expect(await reasonOf(SMTP.connect("mail.example.test", 587, { transport }))).toBe(wrong);
});

function at({ host, port }: ScriptedProxy): { host: string; port: number } {
  return { host, port };
}

describe("a failure on the way to the proxy", () => {
  const via = (reason: unknown): Transport => httpConnect({ path: "/run/proxy" }, () => Promise.reject(reason));
  const to = { host: "mail.example.test", port: 25 };

  it("of the transport's own kind is told with the path of the proxy, whatever it is", async () => {
    for (const reason of [new Error("gone"), "gone"]) {
      const error = await reasonOf(via(reason)(to, {}));
      expect(error).toMatchObject({ message: "the HTTP proxy /run/proxy cannot be reached: gone", cause: reason });
    }
  });

  it("that lies in the options is told as it is, since no proxy can help it", async () => {
    for (const reason of [new TypeError("no such option"), new RangeError("no such port")]) {
      expect(await reasonOf(via(reason)(to, {}))).toBe(reason);
    }
  });

  it("once it was reached is told as a failure of the proxy", async () => {
    const reset = memoryTransport((server) => server.abort(new Error("reset")));
    const error = await refusal(httpConnect({ host: "p", port: 1 }, reset));
    expect(error.message).toMatch(/^the HTTP proxy p:1 failed: /);
  });
});

/** The error of a session that the proxy refuses. */
async function refusal(transport: Transport): Promise<ProxyError> {
  const error = await reasonOf(SMTP.connect("mail.example.test", 587, { transport }));
  expect(error).toBeInstanceOf(SMTPConnectError);
  if (!(error instanceof SMTPConnectError) || !(error.cause instanceof ProxyError)) throw error;
  expect(error).toMatchObject({ smtp_code: -1, temporary: !error.cause.permanent });
  expect(error.message).toContain(error.cause.message);
  return error.cause;
}
