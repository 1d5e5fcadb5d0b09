/** SCRAM with channel binding over real TLS, with the running runtime's own transport and a server by node:tls. */
import { createHash, X509Certificate } from "node:crypto";
import { once } from "node:events";
import tls from "node:tls";
import { describe, expect, onTestFinished, test } from "vitest";
import { SMTP_SSL, SMTPNotSupportedError } from "../../src/index.ts";
import { type ChannelBindingType, scramSha256Plus, scramSha512Plus } from "../../src/sasl/index.ts";
import { ScramServer } from "../sasl/scram-server.ts";
import { certificates, type Pair } from "../support/certificates.ts";
import { reasonOf } from "../support/session.ts";

/** Deno's node:tls cannot export keying material (`exportKeyingMaterial` is missing), but returns the certificate. */
const EXPORTS = !("Deno" in globalThis);

/** Deno.startTls exposes neither keying material nor the certificate of its session. */
const TELLS_NOTHING = "Deno" in globalThis;

declare const Deno: {
  startTls(connection: unknown, options: { hostname: string; caCerts?: string[] }): Promise<unknown>;
};

const plainly = (text: string | undefined): string => Buffer.from(text ?? "", "base64").toString();
const base64 = (text: string): string => Buffer.from(text).toString("base64");

/** The data that a server binds to. */
function bindingOf(socket: tls.TLSSocket, pair: Pair, type: string | undefined): Uint8Array {
  if (type === "tls-exporter") return socket.exportKeyingMaterial(32, "EXPORTER-Channel-Binding", Buffer.alloc(0));
  return createHash("sha256").update(new X509Certificate(pair.cert).raw).digest();
}

/** An SMTP server with implicit TLS that supports SCRAM; returns its port and the clients' GS2 headers. */
async function serve(
  pair: Pair,
  options: { maxVersion?: tls.SecureVersion; offers?: string; binds?: (own: Uint8Array) => Uint8Array } = {},
): Promise<{ port: number; headers: string[] }> {
  const { maxVersion = "TLSv1.3", offers = "SCRAM-SHA-256 SCRAM-SHA-256-PLUS", binds = (own) => own } = options;
  const headers: string[] = [];
  const server = tls.createServer({ ...pair, maxVersion }, (socket) => {
    socket.on("error", () => {});
    const say = (line: string): void => void socket.write(`${line}\r\n`);
    let scram: ScramServer | undefined;
    let next: ((said: string) => string) | undefined;
    const answer = (line: string): void => {
      const [verb, name = "", initial = ""] = line.split(" ");
      if (verb === "EHLO") return say(`250-localhost\r\n250 AUTH ${offers}`);
      if (verb === "QUIT") return say("221 bye");
      if (verb === "AUTH") {
        const [, type] = /^p=([a-z-]+),/.exec(plainly(initial)) ?? [];
        const hash = name.includes("512") ? "SHA-512" : "SHA-256";
        const binding = type === undefined ? undefined : binds(bindingOf(socket, pair, type));
        scram = new ScramServer({ hash, password: "pencil", ...(binding && { binding }) });
        next = scram.final;
        const first = scram.first(plainly(initial));
        headers.push(scram.header);
        return say(`334 ${base64(first)}`);
      }
      if (next === undefined) return say(line === "" ? "235 in" : "535 no");
      const final = next(plainly(line));
      next = undefined;
      say(final.startsWith("v=") ? `334 ${base64(final)}` : "535 no");
    };
    let text = "";
    socket.setEncoding("latin1");
    socket.on("data", (chunk) => {
      const lines = (text + chunk).split("\r\n");
      text = lines.pop() ?? "";
      for (const line of lines) answer(line);
    });
    say("220 localhost");
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => void server.close());
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  return { port: address.port, headers };
}

async function session(port: number): Promise<SMTP_SSL> {
  const { ca } = await certificates();
  const smtp = await SMTP_SSL.connect("localhost", port, {
    context: { ca },
    timeout: 20,
    local_hostname: "client.test",
  });
  onTestFinished(() => smtp.close());
  return smtp;
}

describe("SCRAM with channel binding", () => {
  test.each<[version: tls.SecureVersion, type: ChannelBindingType]>([
    ["TLSv1.3", EXPORTS ? "tls-exporter" : "tls-server-end-point"],
    ["TLSv1.2", "tls-server-end-point"],
  ])("logs in over %s by %s", async (maxVersion, type) => {
    const { good } = await certificates();
    const { port, headers } = await serve(good, { maxVersion });
    const smtp = await session(port);
    expect(await smtp.login("user", "pencil")).toEqual([235, "in"]);
    expect(headers).toEqual([`p=${type},,`]);
  });

  test.each<ChannelBindingType>(EXPORTS ? ["tls-exporter", "tls-server-end-point"] : ["tls-server-end-point"])(
    "binds by %s where that is asked for",
    async (channelBinding) => {
      const { good } = await certificates();
      const { port, headers } = await serve(good);
      const smtp = await session(port);
      const mechanism = scramSha512Plus({ user: "user", password: "pencil", channelBinding });
      expect(await smtp.auth("SCRAM-SHA-512-PLUS", mechanism)).toEqual([235, "in"]);
      expect(headers).toEqual([`p=${channelBinding},,`]);
    },
  );

  test.runIf(!EXPORTS)("says that it cannot bind by tls-exporter where the runtime does not export", async () => {
    const { good } = await certificates();
    const { port } = await serve(good);
    const smtp = await session(port);
    const mechanism = scramSha256Plus({ user: "user", password: "pencil", channelBinding: "tls-exporter" });
    const error = await reasonOf(smtp.auth("SCRAM-SHA-256-PLUS", mechanism));
    expect(error).toBeInstanceOf(SMTPNotSupportedError);
    expect(error).toHaveProperty("message", expect.stringContaining("keying material"));
  });

  test.runIf(TELLS_NOTHING)(
    "is left out by login(), and refused by auth(), where the runtime tells nothing",
    async () => {
      const { ca, good } = await certificates();
      const { startTls } = Deno;
      Deno.startTls = (connection, options) => startTls(connection, { ...options, caCerts: [ca] });
      onTestFinished(() => {
        Deno.startTls = startTls;
      });
      const { port, headers } = await serve(good);
      const smtp = await SMTP_SSL.connect("localhost", port, { timeout: 20, local_hostname: "client.test" });
      onTestFinished(() => smtp.close());
      const mechanism = scramSha256Plus({ user: "user", password: "pencil" });
      const error = await reasonOf(smtp.auth("SCRAM-SHA-256-PLUS", mechanism));
      expect(error).toBeInstanceOf(SMTPNotSupportedError);
      expect(error).toHaveProperty("message", expect.stringContaining("the transport tells neither"));
      expect(headers).toEqual([]);
      await smtp.login("user", "pencil");
      expect(headers).toEqual(["n,,"]);
    },
  );

  test("is refused where another session lies in between", async () => {
    const { good } = await certificates();
    const { port } = await serve(good, { binds: (own) => own.map((octet) => octet ^ 1) });
    const smtp = await session(port);
    const login = smtp.login("user", "pencil", { mechanisms: ["SCRAM-SHA-256-PLUS"] });
    expect(await reasonOf(login)).toMatchObject({ name: "SMTPAuthenticationError", smtp_code: 535 });
  });

  test("where the offer was taken away, tells the server that it could have been", async () => {
    const { good } = await certificates();
    const { port, headers } = await serve(good, { offers: "SCRAM-SHA-256" });
    const smtp = await session(port);
    await smtp.login("user", "pencil");
    expect(headers).toEqual(["y,,"]);
  });
});
