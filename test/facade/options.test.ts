/** The arguments of the constructor: host, port and options, checked at once. */
import { describe, expect, test } from "vitest";
import type { ConnectOptions, Endpoint, Transport } from "../../src/byte-stream.ts";
import { LMTP, SMTP, type SMTPOptions } from "../../src/index.ts";
import { FakeServer } from "../client/fake-server.ts";
import { reasonOf } from "../support/session.ts";

const connect = (server: FakeServer, options: SMTPOptions = {}): Promise<SMTP> =>
  SMTP.connect("mail.example.com", 25, { transport: server.transport, ...options });

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

  test("an empty host is refused where there must be one", async () => {
    expect(await reasonOf(SMTP.connect(""))).toMatchObject({
      name: "RangeError",
      message: expect.stringContaining("host"),
    });
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
    ["limits.minRate: 0", { limits: { minRate: 0 } }, RangeError],
    ["limits.minRate in text", { limits: { minRate: "9600" } }, TypeError],
    ["an unknown limit", { limits: { lines: 1 } }, TypeError],
    ["a logger without methods", { logger: {} }, TypeError],
    ["eightBit: 7", { eightBit: 7 }, RangeError],
    ["pipelining: 1", { pipelining: 1 }, TypeError],
    ["allowInsecureAuth: 1", { allowInsecureAuth: 1 }, TypeError],
    ["a text", "x", TypeError],
    ["an array", [], TypeError],
  ])("%s: the constructor throws at once", (_, options, error) => {
    // @ts-expect-error: a caller without types may pass any value
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
    const limits = { line: undefined, minRate: undefined };
    await connect(server, { timeouts: { quit: undefined }, limits });
  });

  test("without any deadline, minRate has nothing to bound", async () => {
    const server = new FakeServer();
    const smtp = await connect(server, { timeout: null, limits: { minRate: 1_000_000_000 } });
    await smtp.sendmail(
      "a@b.c",
      "d@e.f",
      (async function* () {
        for (let piece = 0; piece < 20; piece++) yield `${"x".repeat(70)}\r\n`.repeat(1_000);
      })(),
    );
    expect(server.messages[0]?.length).toBe(20 * 72_000);
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

test("limits and TLS options that are undefined are left at their defaults", async () => {
  const options = { limits: { line: undefined, reply: 1000 }, context: { ca: undefined } };
  const smtp = await connect(new FakeServer(), options);
  expect(await smtp.noop()).toMatchObject({ code: 250 });
  smtp.close();
});
