/** starttls(): its options, the state that it discards, and attacks (SECURITY.md, rule 3; RFC 3207 4.2). */
import { describe, expect, test } from "vitest";
import type { ByteStream, TlsOptions, Transport } from "../../src/byte-stream.ts";
import { SMTP, type SMTPOptions, TlsError } from "../../src/index.ts";
import { FakeServer, type Script } from "../client/fake-server.ts";
import { reasonOf } from "../support/session.ts";

type Tls = TlsOptions & { servername: string };

/** A session whose stream only records the request for TLS: the tests of the transports use real TLS. */
async function session(
  script: Script = {},
  options: SMTPOptions = {},
  handshake: () => Promise<void> = async () => {},
) {
  const server = new FakeServer({ ehlo: ["STARTTLS", "SIZE"], on: { STARTTLS: "220 go" }, ...script });
  const asked: Tls[] = [];
  const transport: Transport = async (endpoint, connecting) => {
    const stream: ByteStream = await server.transport(endpoint, connecting);
    let pending = 0;
    const read = stream.read.bind(stream);
    stream.read = () => {
      pending++;
      return read().finally(() => pending--);
    };
    stream.startTls = async (tls) => {
      if (pending > 0) throw new Error("a read is pending");
      asked.push(tls);
      await handshake();
    };
    return stream;
  };
  const smtp = await SMTP.connect("mail.example.com", 587, { transport, ...options });
  return { server, smtp, asked };
}

describe("starttls()", () => {
  test("says EHLO if needed, gives the reply, asks for the host's name, and forgets what was learnt in clear", async () => {
    const { server, smtp, asked } = await session();
    expect(await smtp.starttls()).toStrictEqual([220, "go"]);
    expect(server.lines.map((line) => line.split(" ")[0])).toEqual(["EHLO", "STARTTLS"]);
    expect(asked).toEqual([{ servername: "mail.example.com" }]);
    expect(smtp).toMatchObject({ does_esmtp: false, ehlo_resp: undefined, helo_resp: undefined, connected: true });
    expect(smtp.has_extn("size")).toBe(false);
    await smtp.sendmail("a@b.c", "d@e.f", "x");
    expect(server.lines[2]).toMatch(/^EHLO/);
  });

  test("takes the option context, and its own argument over it", async () => {
    const { smtp, asked } = await session({}, { context: { ca: "A", minVersion: "TLSv1.3" } });
    await smtp.starttls({ ca: "B", servername: "other.example.com" });
    expect(asked).toEqual([{ ca: "B", minVersion: "TLSv1.3", servername: "other.example.com" }]);
  });

  test("asks for the name of the host connected to, not of the constructor's", async () => {
    const { smtp, asked } = await session();
    await smtp.connect("other.example.com", 587);
    await smtp.starttls();
    expect(asked[0]?.servername).toBe("other.example.com");
  });

  test.each<[name: string, tls: unknown, error: unknown]>([
    ["an unknown option", { verify: false }, TypeError],
    ["no object", "x", TypeError],
    ["a certificate without its key", { cert: "x" }, TypeError],
    ["an old version", { minVersion: "TLSv1" }, RangeError],
    ["a name with a line break", { servername: "a\r\nb" }, RangeError],
    ["rejectUnauthorized that is no boolean", { rejectUnauthorized: 0 }, TypeError],
    ["a CA that is no text", { ca: [1] }, TypeError],
  ])("refuses %s before a byte is written", async (_, tls, error) => {
    const { server, smtp } = await session();
    // @ts-expect-error: a caller without types may pass any value
    expect(await reasonOf(smtp.starttls(tls))).toBeInstanceOf(error);
    expect(server.lines).toEqual([]);
  });

  test("that the server does not offer is SMTPNotSupportedError, and STARTTLS is not said", async () => {
    for (const script of [{ ehlo: ["SIZE"] }, { on: { EHLO: "502 no" } }]) {
      const { server, smtp } = await session(script);
      expect(await reasonOf(smtp.starttls())).toMatchObject({ name: "SMTPNotSupportedError", capability: "STARTTLS" });
      expect(server.lines).not.toContain("STARTTLS");
      expect(smtp.connected).toBe(true);
    }
  });

  test.each(["454 later", "501 no", "250 what", "221 what"])(
    "that is answered with %s is SMTPResponseException, in clear",
    async (answer) => {
      const { smtp, asked } = await session({ on: { STARTTLS: answer } });
      expect(await reasonOf(smtp.starttls())).toMatchObject({
        name: "SMTPResponseException",
        smtp_code: Number(answer.slice(0, 3)),
      });
      expect(asked).toEqual([]);
      expect((await smtp.noop()).code).toBe(250);
    },
  );

  test.each(["220 go\r\n250 injected", "220 go\r\n2"])(
    "with clear text behind its reply drops the connection: %j",
    async (answer) => {
      const { smtp, asked } = await session({ on: { STARTTLS: answer } });
      expect(await reasonOf(smtp.starttls())).toMatchObject({ name: "SMTPServerDisconnected" });
      expect(asked).toEqual([]);
      expect(smtp.connected).toBe(false);
    },
  );

  test("whose handshake fails drops the connection; a refused certificate is not temporary", async () => {
    for (const [cause, temporary] of [
      [new TlsError("name", "wrong name"), false],
      [new TlsError("closed", "closed"), true],
    ] as const) {
      const { server, smtp } = await session({}, {}, () => Promise.reject(cause));
      expect(await reasonOf(smtp.starttls())).toMatchObject({ name: "SMTPServerDisconnected", cause, temporary });
      expect(smtp.connected).toBe(false);
      expect(server.lines.at(-1)).toBe("STARTTLS");
      expect(await reasonOf(smtp.login("u", "p"))).toMatchObject({ name: "SMTPServerDisconnected" });
    }
  });

  test("whose handshake hangs ends in time", { timeout: 2000 }, async () => {
    const { smtp } = await session({}, { timeouts: { tls: 0.03 } }, () => new Promise(() => {}));
    expect(await reasonOf(smtp.starttls())).toMatchObject({ name: "SMTPTimeoutError", phase: "tls" });
  });

  test("on an encrypted connection is refused (RFC 3207 4.2)", async () => {
    const tls = {
      protocol: "TLSv1.3",
      cipher: undefined,
      verified: true,
      fingerprint256: undefined,
      group: undefined,
      exporter: undefined,
    };
    const { server, smtp } = await session({ peer: { tls } });
    expect(await reasonOf(smtp.starttls())).toMatchObject({ name: "SMTPNotSupportedError" });
    expect(server.lines).not.toContain("STARTTLS");
  });
});
