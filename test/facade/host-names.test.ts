/** Non-ASCII host names: resolvers, proxies and TLS get A-labels (UTS 46), on each runtime. */
import { createMessage } from "@upyo/core";
import { createTransport } from "nodemailer";
import { describe, expect, it, onTestFinished } from "vitest";
import type { Endpoint, Transport } from "../../src/byte-stream.ts";
import { LMTP, SMTP, SMTP_SSL, type SMTPOptions, SMTPPool } from "../../src/index.ts";
import { smtplib } from "../../src/nodemailer/npm.ts";
import { httpConnect, socks } from "../../src/proxy/index.ts";
import { defaultTransport } from "../../src/runtime.ts";
import { SmtplibTransport } from "../../src/upyo/index.ts";
import { startEmbeddedServer } from "../support/embedded-server.ts";
import { reasonOf } from "../support/session.ts";

const umlaut = "mail.Bücher.example";
const aLabels = "mail.xn--bcher-kva.example";
/** A name that resolves everywhere: "localhost" in full-width letters. */
const wide = "ｌｏｃａｌｈｏｓｔ";

describe("a host name that is not ASCII", () => {
  type Connect = (options: SMTPOptions) => unknown;
  it.each<[string, Connect]>([
    ["SMTP", (options) => new SMTP(umlaut, 25, options)],
    ["SMTP's host:port", (options) => new SMTP(`${umlaut}:25`, 0, options)],
    ["connect()", (options) => new SMTP(undefined, undefined, options).connect(umlaut, 25)],
    ["LMTP", (options) => new LMTP(umlaut, 25, options)],
    ["a pool", (options) => new SMTPPool({ host: umlaut, port: 25, ...options }).sendmail("a@b.c", "d@e.f", "")],
    ["a URL", (options) => new SMTPPool(`smtp://${umlaut}:25`, options).sendmail("a@b.c", "d@e.f", "")],
    ["nodemailer", (options) => createTransport(smtplib({ host: umlaut, port: 25, ...options })).verify()],
    ["Upyo", (options) => new SmtplibTransport({ host: umlaut, port: 25, ...options }).send(message())],
  ])("reaches the transport of %s as A-labels", async (_, connect) => {
    const controller = new AbortController();
    const endpoint = await new Promise<Endpoint>((resolve) => {
      const transport: Transport = (to) => {
        resolve(to);
        return new Promise(() => {});
      };
      Promise.resolve(connect({ transport, signal: controller.signal })).catch(() => {});
    });
    controller.abort();
    expect(endpoint).toEqual({ host: aLabels, port: 25 });
  });

  it("reaches the way to a proxy, and the proxy, as A-labels", async () => {
    for (const proxy of [socks, httpConnect]) {
      const seen: Endpoint[] = [];
      const said: string[] = [];
      const through = proxy({ host: "proxy.bücher.example", port: 1080 }, async (endpoint) => {
        seen.push(endpoint);
        return {
          read: async () => Uint8Array.of(5, 0),
          write: (data) => {
            said.push(new TextDecoder("latin1").decode(data));
            if (said.length > 1 || proxy === httpConnect) throw new Error("seen");
            return undefined;
          },
          startTls: () => Promise.reject(new Error("no TLS here")),
          close: async () => {},
          abort: () => {},
          peer: { remoteAddress: undefined, localAddress: undefined, loopback: false, tls: undefined },
        };
      });
      await reasonOf(SMTP.connect(umlaut, 25, { transport: through }));
      expect(seen).toEqual([{ host: "proxy.xn--bcher-kva.example", port: 1080 }]);
      expect(said.at(-1)).toContain(aLabels);
    }
  });

  it("is found by the runtime's resolver, and verified by TLS", async () => {
    const server = await startEmbeddedServer({ tls: "implicit" });
    onTestFinished(() => server.close());
    const smtp = await SMTP_SSL.connect(wide, server.port, { context: { ca: server.ca } });
    expect((await smtp.noop()).code).toBe(250);
    await smtp.quit();
    const named = { ca: server.ca, servername: wide };
    const other = await SMTP_SSL.connect("127.0.0.1", server.port, { context: named });
    await other.quit();
  });

  it("is found by the runtime's transport alone, too", async () => {
    const server = await startEmbeddedServer();
    onTestFinished(() => server.close());
    const endpoint = { host: wide, port: server.port };
    const transport = await defaultTransport({ endpoint, options: {} });
    const stream = await transport(endpoint, {});
    expect(stream.peer.loopback).toBe(true);
    stream.abort();
  });

  it("is refused where it has no ASCII form, before anything is connected", async () => {
    const transport: Transport = () => Promise.reject(new Error("connected"));
    for (const host of ["bücher example", "bücher/x", "bücher..example", "１２７.０.０.１", "ü".repeat(80)]) {
      expect(() => new SMTP(host, 25, { transport })).toThrow(/^host /);
      expect(() => new SMTP(host, 25, { transport })).toThrow(RangeError);
      expect(() => new SMTPPool({ host, transport })).toThrow(/^host /);
      const context = { servername: host };
      const named = await reasonOf(SMTP.connect("x", 25, { transport, context }));
      expect(named).toMatchObject({ name: "RangeError", message: expect.stringMatching(/^context\.servername /) });
      expect(() => new SMTPPool({ host: "x", transport, context })).toThrow(/^context\.servername /);
      expect(() => new SMTP("x", 25, { transport, source_address: [host, 0] })).toThrow(/^source_address\[0\] /);
      expect(() => socks({ host })).toThrow(/^host /);
      expect(() => httpConnect({ host: "x", port: 1, tls: { servername: host } })).toThrow(/^tls\.servername /);
      expect(await reasonOf(socks({ host: "x" }, transport)({ host, port: 25 }, {}))).toBeInstanceOf(RangeError);
    }
  });
});

function message() {
  return createMessage({
    from: "a@example.com",
    to: "d@example.net",
    subject: "Hello",
    content: { text: "Hi!" },
  });
}
