/** The errors if TLS cannot be established, and whether another try may help: implicit TLS, STARTTLS, pool. */
import net from "node:net";
import { describe, expect, it, onTestFinished } from "vitest";
import { LMTP, SMTP, SMTP_SSL, SMTPPool, SMTPTimeoutError, TlsError } from "../../src/index.ts";
import { certificates } from "../support/certificates.ts";
import { startTlsChild } from "../support/child-server.ts";
import { reasonOf } from "../support/session.ts";
import { runningOn } from "../transports/contract.ts";

/** A server that offers STARTTLS and answers the handshake with `answer`; if `implicit` is set, the first bytes. */
async function startServer(answer: string | undefined, implicit = false): Promise<number> {
  const server = net.createServer((socket) => {
    socket.on("error", () => {});
    let secure = implicit;
    if (!implicit) socket.write("220 mail.example.com\r\n");
    socket.on("data", (data) => {
      const line = data.toString("latin1");
      if (secure) {
        if (answer !== undefined) socket.end(answer);
      } else if (/^(EHLO|LHLO)/.test(line)) {
        socket.write("250-mail.example.com\r\n250 STARTTLS\r\n");
      } else if (line.startsWith("STARTTLS")) {
        secure = true;
        socket.write("220 go ahead\r\n");
      } else socket.end("221 bye\r\n");
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => void server.close());
  const address = server.address();
  return typeof address === "object" && address !== null ? address.port : 0;
}

async function starttls(Class: typeof SMTP, port: number, context = {}): Promise<unknown> {
  const smtp = await Class.connect("127.0.0.1", port, { timeouts: { tls: 0.3 }, context });
  onTestFinished(() => smtp.close());
  return reasonOf(smtp.starttls());
}

const implicitly = (port: number, context = {}): Promise<unknown> =>
  reasonOf(SMTP_SSL.connect("127.0.0.1", port, { timeouts: { tls: 0.3 }, context }));

describe("a TLS handshake that times out", () => {
  it("hints at the size of the ClientHello, and names the option that makes it small", async () => {
    const errors = [
      await implicitly(await startServer(undefined, true)),
      await starttls(SMTP, await startServer(undefined)),
      await starttls(LMTP, await startServer(undefined)),
    ];
    for (const error of errors) {
      expect(error).toBeInstanceOf(SMTPTimeoutError);
      expect(error).toMatchObject({ phase: "tls", temporary: true });
      expect(String(error)).toContain(
        'where the transport can set them (Node, Bun), try context: { groups: "X25519" }',
      );
    }
  });
});

describe("a server that answers the handshake in plain text", () => {
  it("is not to be spoken to in clear where it agreed to STARTTLS", async () => {
    for (const Class of [SMTP, LMTP]) {
      const error = await starttls(Class, await startServer("500 what?\r\n"));
      expect(error).toMatchObject({ temporary: false, cause: { failure: "not-tls" } });
      expect(String(error)).toMatch(/does not speak TLS.*agreed to STARTTLS/s);
      expect(String(error)).not.toMatch(/in clear|TLS port/);
    }
  });

  it("is to be spoken to in clear where TLS was to be from the start", async () => {
    const error = await implicitly(await startServer("220 mail.example.com\r\n", true));
    expect(error).toMatchObject({ temporary: false, cause: { failure: "not-tls" } });
    expect(String(error)).toMatch(/connect in clear and upgrade by STARTTLS/);
  });
});

describe("a server with no cipher in common", () => {
  it("is refused for good, with the options that choose ciphers", async () => {
    const { good } = await certificates();
    const port = await startTlsChild({ ...good, ciphers: "ADH-AES128-SHA256:@SECLEVEL=0", maxVersion: "TLSv1.2" });
    const pool = new SMTPPool({ host: "127.0.0.1", port, secure: true });
    const errors = [await implicitly(port), await reasonOf(pool.sendmail("a@example.com", "b@example.com", "Hi!"))];
    await pool.close();
    for (const error of errors) {
      expect(error).toMatchObject({ temporary: false, cause: { failure: "no-shared-cipher" } });
      expect(error).toHaveProperty("cause", expect.any(TlsError));
      expect(String(error)).toMatch(/ciphers and groups .* where the transport can set them \(Node, Bun\)/);
    }
  });
});

describe("the options ciphers and groups", () => {
  it("are checked before anything is connected", async () => {
    const transport = () => Promise.reject(new Error("connected"));
    const wrong = { ciphers: ["AES"], groups: 25519 };
    for (const [name, value] of Object.entries(wrong)) {
      const context = { [name]: value };
      for (const error of [
        await reasonOf(SMTP_SSL.connect("x", 465, { transport, context })),
        await reasonOf((async () => new SMTPPool({ host: "x", transport, context }))()),
      ]) {
        expect(error).toBeInstanceOf(TypeError);
        expect(String(error)).toContain(`context.${name} must be a string`);
      }
      for (const text of ["", "X25519\r\n"]) {
        const error = await reasonOf(SMTP_SSL.connect("x", 465, { transport, context: { [name]: text } }));
        expect(error).toBeInstanceOf(RangeError);
        expect(String(error)).toContain(`context.${name} `);
      }
    }
  });

  it("are a TypeError where the runtime cannot set them, at STARTTLS, too", async () => {
    const context = runningOn("deno") ? { groups: "X25519" } : { groups: "nonsense" };
    for (const error of [
      await starttls(SMTP, await startServer("", false), context),
      await implicitly(await startServer("", true), context),
    ]) {
      expect(error).toBeInstanceOf(TypeError);
      expect(String(error)).toContain("groups");
    }
  });

  it("set up the session", async () => {
    const { ca, good } = await certificates();
    const port = await startTlsChild(good, "220 mail.example.com\r\n");
    if (runningOn("deno")) return;
    const smtp = await SMTP_SSL.connect("localhost", port, { context: { ca, groups: "P-384" } });
    smtp.close();
  });
});
