/** Connecting: the constructor, SMTP.connect and connect(), their failures, and the options they take. */
import { describe, expect, test } from "vitest";
import type { ConnectOptions, Endpoint, Transport } from "../../src/byte-stream.ts";
import { LMTP, SMTP, SMTP_SSL, type SMTPOptions, SMTPServerDisconnected, SMTPTimeoutError } from "../../src/index.ts";
import { FakeServer } from "../client/fake-server.ts";

const reasonOf = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => "no rejection",
    (reason: unknown) => reason,
  );

const connect = (server: FakeServer, options: SMTPOptions = {}): Promise<SMTP> =>
  SMTP.connect("mail.example.com", 25, { transport: server.transport, ...options });

const refusing: Transport = () => Promise.reject(new Error("ECONNREFUSED"));
const hanging: Transport = (_, { signal }) =>
  new Promise((_resolve, reject) => signal?.addEventListener("abort", () => reject(signal.reason)));

describe("a greeting", () => {
  test.each(["250 ok", "554 no", "299 what", "421 later", "220"])(
    "%s: the constructor wants 220, connect() gives any",
    async (greeting) => {
      const code = Number(greeting.slice(0, 3));
      const server = new FakeServer({ greeting });
      const direct = new SMTP(undefined, undefined, { transport: server.transport });
      expect((await direct.connect("mail.example.com")).code).toBe(code);
      expect(direct.connected).toBe(code !== 421);

      const built = await reasonOf(connect(new FakeServer({ greeting })));
      if (code === 220) return expect(built).toBe("no rejection");
      expect(built).toMatchObject({
        name: "SMTPConnectError",
        smtp_code: code,
        smtp_error: greeting.slice(4),
        temporary: code === 421,
      });
    },
  );

  test("that is none is an SMTPConnectError; none at all is a lost connection", async () => {
    expect(await reasonOf(connect(new FakeServer({ greeting: "+OK POP3" })))).toMatchObject({
      name: "SMTPConnectError",
      smtp_code: -1,
    });
    expect(await reasonOf(connect(new FakeServer({ greeting: "close" })))).toBeInstanceOf(SMTPServerDisconnected);
  });

  test("that does not come in time is a timeout", async () => {
    const server = new FakeServer({ greeting: undefined, on: {} });
    const silent: Transport = async (endpoint, options) => {
      const stream = await server.transport(endpoint, options);
      return Object.assign(stream, { read: () => new Promise<null>(() => {}) });
    };
    expect(await reasonOf(connect(server, { transport: silent, timeout: 0.02 }))).toMatchObject({
      name: "SMTPTimeoutError",
      phase: "greeting",
      temporary: true,
    });
  });
});

describe("a connection that cannot be made", () => {
  test("is an SMTPConnectError with code -1 and the reason as its cause", async () => {
    const error = await reasonOf(SMTP.connect("mail.example.com", 25, { transport: refusing }));
    expect(error).toMatchObject({ name: "SMTPConnectError", smtp_code: -1, temporary: true, delivery: undefined });
    expect(error).toHaveProperty("cause.message", "ECONNREFUSED");
  });

  test("is thrown by the first method that is called, once", async () => {
    const smtp = new SMTP("mail.example.com", 25, { transport: refusing });
    expect(smtp.connected).toBe(false);
    expect(await reasonOf(smtp.noop())).toHaveProperty("name", "SMTPConnectError");
    expect(await reasonOf(smtp.noop())).toHaveProperty("name", "SMTPServerDisconnected");
  });

  test("is thrown by sendmail too, also behind another call", async () => {
    const smtp = new SMTP("mail.example.com", 25, { transport: refusing });
    const errors = await Promise.all([smtp.sendmail("a@b.c", "d@e.f", "x"), smtp.noop()].map(reasonOf));
    expect(errors[0]).toHaveProperty("name", "SMTPConnectError");
    expect(errors[1]).toBeInstanceOf(Error);
  });

  test("in time is a timeout with the phase connect, whatever the transport does", async () => {
    for (const transport of [hanging, () => new Promise<never>(() => {})]) {
      const error = await reasonOf(SMTP.connect("mail.example.com", 25, { transport, timeout: 0.02 }));
      expect(error).toBeInstanceOf(SMTPTimeoutError);
      expect(error).toMatchObject({ phase: "connect" });
    }
  });

  test("because of close() is a lost connection", async () => {
    const smtp = new SMTP("mail.example.com", 25, { transport: hanging });
    await Promise.resolve();
    smtp.close();
    expect(await reasonOf(smtp.noop())).toBeInstanceOf(SMTPServerDisconnected);
  });

  test("because of the session's signal rejects with its reason, before and while connecting", async () => {
    const reason = new Error("enough");
    expect(await reasonOf(SMTP.connect("x", 25, { transport: hanging, signal: AbortSignal.abort(reason) }))).toBe(
      reason,
    );
    const controller = new AbortController();
    const connecting = reasonOf(SMTP.connect("x", 25, { transport: hanging, signal: controller.signal }));
    await Promise.resolve();
    controller.abort(reason);
    expect(await connecting).toBe(reason);
  });

  test("leaves a stream that comes too late closed", async () => {
    let aborted = false;
    const server = new FakeServer();
    const late: Transport = async (endpoint, options) => {
      await new Promise((resolve) => setTimeout(resolve, 40));
      const stream = await server.transport(endpoint, { ...options, signal: undefined });
      const abort = stream.abort.bind(stream);
      return Object.assign(stream, {
        abort: (why: unknown) => {
          aborted = true;
          abort(why);
        },
      });
    };
    await reasonOf(SMTP.connect("x", 25, { transport: late, timeout: 0.01 }));
    await new Promise((resolve) => setTimeout(resolve, 60));
    expect(aborted).toBe(true);
  });
});

describe("a second connect()", () => {
  test("forgets all of the earlier session and ends its connection", async () => {
    const server = new FakeServer({ ehlo: ["SIZE 1"] });
    const smtp = await connect(server);
    await smtp.ehlo();
    await smtp.mail("a@b.c");
    await smtp.connect("other.example.com");
    expect(smtp).toMatchObject({ does_esmtp: false, ehlo_resp: undefined, helo_resp: undefined, connected: true });
    expect(smtp.has_extn("size")).toBe(false);
    expect(await server.streams[0]?.read().catch(() => null)).toBeNull();
    expect(await smtp.sendmail("a@b.c", "d@e.f", "x")).toEqual({});
    expect(server.lines.slice(-5).map((line) => line.split(/[ :]/)[0])).toEqual(["EHLO", "MAIL", "RCPT", "DATA", "."]);
  });

  test("works after close(), quit() and a lost connection; close() keeps what was learnt, as in Python", async () => {
    const server = new FakeServer({ ehlo: ["DSN"] });
    const smtp = await connect(server);
    await smtp.ehlo();
    smtp.close();
    smtp.close();
    expect(smtp.has_extn("dsn")).toBe(true);
    await smtp.connect("x");
    await smtp.quit();
    await smtp.connect("x");
    server.streams.at(-1)?.abort();
    expect(await reasonOf(smtp.noop())).toBeInstanceOf(SMTPServerDisconnected);
    await smtp.connect("x");
    expect((await smtp.noop()).code).toBe(250);
  });
});

describe("host and port", () => {
  type Build = (transport: Transport) => Promise<unknown>;
  const of =
    (Class: typeof SMTP, host: string, port?: number): Build =>
    (transport) =>
      Class.connect(host, port, { transport });

  test.each<[name: string, build: Build, endpoint: Endpoint]>([
    ["a host alone", of(SMTP, "mail.example.com"), { host: "mail.example.com", port: 25 }],
    ["port 0", of(SMTP, "mail.example.com", 0), { host: "mail.example.com", port: 25 }],
    ["host:port", of(SMTP, "mail.example.com:587"), { host: "mail.example.com", port: 587 }],
    ["host:port and port 0", of(SMTP, "mail.example.com:587", 0), { host: "mail.example.com", port: 587 }],
    ["an IPv6 address", of(SMTP, "::1"), { host: "::1", port: 25 }],
    ["[v6]", of(SMTP, "[::1]"), { host: "::1", port: 25 }],
    ["[v6]:port", of(SMTP, "[::1]:2525"), { host: "::1", port: 2525 }],
    ["[v6] and a port", of(SMTP, "[::1]", 26), { host: "::1", port: 26 }],
    ["LMTP", of(LMTP, "mail.example.com"), { host: "mail.example.com", port: 2003 }],
    ["LMTP's path", of(LMTP, "/run/lmtp"), { path: "/run/lmtp" }],
    [
      "an own default port",
      async (transport) => {
        const smtp = new SMTP(undefined, undefined, { transport });
        smtp.default_port = 2525;
        await smtp.connect("x");
      },
      { host: "x", port: 2525 },
    ],
    [
      "no host",
      (transport) => new SMTP(undefined, undefined, { transport }).connect(),
      { host: "localhost", port: 25 },
    ],
  ])("%s", async (_, build, endpoint) => {
    const seen: Endpoint[] = [];
    const server = new FakeServer();
    await build((to, options) => {
      seen.push(to);
      return server.transport(to, options);
    });
    expect(seen).toEqual([endpoint]);
  });

  test.each(["host:", "host:x", "host:99999", "[::1]:x", "a b", "a\r\nb", "a\0"])("%j is refused", async (host) => {
    expect(() => new SMTP(host)).toThrow(RangeError);
    expect(await reasonOf(new SMTP().connect(host))).toBeInstanceOf(RangeError);
    expect(await reasonOf(SMTP.connect(host))).toBeInstanceOf(RangeError);
  });

  test.each([-1, 65_536, 1.5, Number.NaN])("the port %d is refused", (port) => {
    expect(() => new SMTP("x", port)).toThrow(RangeError);
  });
});

describe("options", () => {
  test.each<[name: string, options: unknown, error: unknown]>([
    ["timeout: 0", { timeout: 0 }, RangeError],
    ["a negative timeout", { timeout: -1 }, RangeError],
    ["a timeout that is no number", { timeout: "5" }, TypeError],
    ["timeouts.quit: 0", { timeouts: { quit: 0 } }, RangeError],
    ["an unknown phase", { timeouts: { dial: 1 } }, TypeError],
    ["an unknown option", { tiemout: 1 }, TypeError],
    ["an option of Object's", { constructor: 1 }, TypeError],
    ["a local_hostname with a line break", { local_hostname: "a\r\nb" }, RangeError],
    ["a local_hostname with a space", { local_hostname: "a b" }, RangeError],
    ["a local_hostname that is no text", { local_hostname: 1 }, TypeError],
    ["a source_address that is none", { source_address: "127.0.0.1" }, TypeError],
    ["a transport that is none", { transport: {} }, TypeError],
    ["a signal that is none", { signal: {} }, TypeError],
    ["limits.line: 0", { limits: { line: 0 } }, RangeError],
    ["an unknown limit", { limits: { lines: 1 } }, TypeError],
    ["a logger without methods", { logger: {} }, TypeError],
    ["eightBit: 7", { eightBit: 7 }, RangeError],
    ["pipelining: 1", { pipelining: 1 }, TypeError],
    ["allowInsecureAuth: 1", { allowInsecureAuth: 1 }, TypeError],
    ["a text", "x", TypeError],
    ["an array", [], TypeError],
  ])("%s: the constructor throws at once", (_, options, error) => {
    // @ts-expect-error: what a caller without types may pass
    expect(() => new SMTP("x", 25, options)).toThrow(error);
    // @ts-expect-error: the same
    expect(() => new LMTP("/x", 0, options)).toThrow(error);
  });

  test("may all be undefined", async () => {
    const server = new FakeServer();
    await connect(server, {
      timeout: undefined,
      timeouts: undefined,
      limits: undefined,
      logger: undefined,
      signal: undefined,
      pipelining: undefined,
    });
    await connect(server, { timeout: null });
  });

  test("source_address reaches the transport; on a Unix socket it means nothing", async () => {
    const seen: ConnectOptions[] = [];
    const server = new FakeServer();
    const transport: Transport = (endpoint, options) => {
      seen.push(options);
      return server.transport(endpoint, options);
    };
    await SMTP.connect("x", 25, { transport, source_address: ["127.0.0.2", 0] });
    await LMTP.connect("/x", 0, { transport, source_address: ["127.0.0.2", 0] });
    expect(seen.map(({ sourceAddress }) => sourceAddress)).toEqual([["127.0.0.2", 0], undefined]);
  });

  test("limits bound what the server may say", async () => {
    const smtp = await connect(new FakeServer({ on: { NOOP: `250 ${"x".repeat(200)}` } }), { limits: { line: 100 } });
    expect(await reasonOf(smtp.noop())).toMatchObject({ name: "SMTPServerDisconnected" });
    expect(smtp.connected).toBe(false);
  });

  test("timeout can be read and set", async () => {
    const smtp = new SMTP(undefined, undefined, { timeout: 5 });
    expect(smtp.timeout).toBe(5);
    smtp.timeout = 7;
    expect(smtp.timeout).toBe(7);
    expect(() => {
      smtp.timeout = 0;
    }).toThrow(RangeError);
    expect(smtp.timeout).toBe(7);
    expect(new SMTP().timeout).toBeUndefined();
  });
});

describe("SMTP_SSL", () => {
  test("connects as what it is, does TLS before the greeting, and asks for the host's name", async () => {
    const server = new FakeServer();
    const names: string[] = [];
    const seen: Endpoint[] = [];
    const transport: Transport = async (endpoint, options) => {
      seen.push(endpoint);
      const stream = await server.transport(endpoint, options);
      return Object.assign(stream, {
        startTls: async ({ servername }: { servername: string }) => void names.push(servername),
      });
    };
    const smtp: SMTP_SSL = await SMTP_SSL.connect("mail.example.com", undefined, { transport });
    expect(smtp).toBeInstanceOf(SMTP_SSL);
    expect(smtp.default_port).toBe(465);
    await SMTP_SSL.connect("mail.example.com", 466, { transport, context: { servername: "other.example.com" } });
    expect(names).toEqual(["mail.example.com", "other.example.com"]);
    expect(seen).toEqual([
      { host: "mail.example.com", port: 465 },
      { host: "mail.example.com", port: 466 },
    ]);
  });

  test("that fails is an SMTPConnectError, and the stream is dropped", async () => {
    const server = new FakeServer();
    let aborted = false;
    const transport: Transport = async (endpoint, options) => {
      const stream = await server.transport(endpoint, options);
      return Object.assign(stream, {
        startTls: () => Promise.reject(new Error("no TLS here")),
        abort: () => {
          aborted = true;
        },
      });
    };
    const error = await reasonOf(SMTP_SSL.connect("mail.example.com", 465, { transport }));
    expect(error).toMatchObject({ name: "SMTPConnectError", smtp_code: -1 });
    expect(error).toHaveProperty("cause.message", "no TLS here");
    expect(aborted).toBe(true);
  });
});
