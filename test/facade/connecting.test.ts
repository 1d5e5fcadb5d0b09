/** Connecting: the constructor, SMTP.connect and connect(), their failures and their options. */
import { describe, expect, test } from "vitest";
import type { Endpoint, Transport } from "../../src/byte-stream.ts";
import {
  SMTP,
  SMTP_SSL,
  type SMTPOptions,
  SMTPPool,
  SMTPServerDisconnected,
  SMTPTimeoutError,
} from "../../src/index.ts";
import { FakeServer } from "../client/fake-server.ts";
import { reasonOf } from "../support/session.ts";

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

  test.each(["554 no", "354 what", "450 later", "250 ok"])(
    "%s from connect(): no call says EHLO by itself, and QUIT ends the session (RFC 5321 3.1)",
    async (greeting) => {
      const server = new FakeServer({ greeting });
      const smtp = new SMTP(undefined, undefined, { transport: server.transport });
      // The message is passed before the greeting arrives.
      const [, sent] = await Promise.all([
        smtp.connect("mail.example.com"),
        reasonOf(smtp.sendmail("a@a.test", "b@b.test", "x")),
      ]);
      const code = Number(greeting.slice(0, 3));
      const refusal = { name: "SMTPConnectError", smtp_code: code, temporary: code === 450 };
      expect(sent).toMatchObject({ ...refusal, delivery: "not-sent" });
      expect(await reasonOf(smtp.ehlo_or_helo_if_needed())).toMatchObject(refusal);
      expect(await reasonOf(smtp.starttls())).toMatchObject(refusal);
      expect(await reasonOf(smtp.login("ada", "s3cret"))).toMatchObject(refusal);
      await smtp.quit();
      expect(server.lines).toEqual(["QUIT"]);
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

  test("since the host does not exist is not temporary, and gives no advice about ports", async () => {
    const error = await reasonOf(SMTP.connect("no-such-host.invalid", 25));
    expect(error).toMatchObject({ name: "SMTPConnectError", temporary: false });
    expect(String(error)).not.toContain("port may be blocked");
    const pool = new SMTPPool({ host: "no-such-host.invalid", port: 25 });
    expect(await reasonOf(pool.sendmail("a@b.c", "d@e.f", "x"))).toMatchObject({ temporary: false });
    await pool.close();
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
