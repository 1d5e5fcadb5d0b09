/**
 * Workers: the transport within workerd itself, by miniflare, with a mail server on the loopback interface.
 *
 * @node It starts workerd, which is the runtime here.
 */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { build } from "esbuild";
import type { Miniflare } from "miniflare";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { certificates } from "../support/certificates.ts";
import { type EmbeddedOptions, type EmbeddedServer, startEmbeddedServer } from "../support/embedded-server.ts";
import type { Task } from "./worker.ts";
import { scripted } from "./worker-answers.ts";

const account = { user: "ada", password: "correct horse" };

describe("transport workers, in workerd", () => {
  let workerd: Miniflare;
  let folder: string;
  const servers: EmbeddedServer[] = [];

  beforeAll(async () => {
    folder = await mkdtemp(path.join(os.tmpdir(), "smtplib-workers-"));
    // Miniflare reads it when it is loaded: workerd then trusts the tests' authority like the platform's public ones.
    await writeFile(path.join(folder, "ca.pem"), (await certificates()).ca);
    process.env["NODE_EXTRA_CA_CERTS"] = path.join(folder, "ca.pem");
    const { Miniflare } = await import("miniflare");
    workerd = new Miniflare({
      modules: [{ type: "ESModule", path: "worker.mjs", contents: await bundle("worker.ts") }],
      compatibilityDate: "2025-07-01",
      handleRuntimeStdio: () => {},
    });
    await workerd.ready;
  }, 60_000);

  afterAll(async () => {
    await workerd?.dispose();
    for (const server of servers) await server.close();
    delete process.env["NODE_EXTRA_CA_CERTS"];
    await rm(folder, { recursive: true, force: true });
  });

  async function mailServer(options: EmbeddedOptions = {}): Promise<EmbeddedServer> {
    const server = await startEmbeddedServer({ auth: account, settings: { authOptional: true }, ...options });
    servers.push(server);
    return server;
  }

  /** Returns the Worker's result of a task. */
  async function perform(task: Partial<Task>) {
    const whole: Task = { host: "localhost", port: 1, tls: "starttls", body: "Subject: Hello\r\n\r\nHi!\r\n", ...task };
    const answer = await workerd.dispatchFetch("http://worker/", { method: "POST", body: JSON.stringify(whole) });
    const said: unknown = await answer.json();
    return said;
  }

  it("sends mail after STARTTLS, verified, and a login", async () => {
    const server = await mailServer();
    expect(await perform({ port: server.port, ...account })).toMatchObject({
      reply: expect.stringContaining("queued as 1"),
      peer: { loopback: false, tls: { verified: true } },
    });
    expect(server.messages).toMatchObject([{ from: "ada@example.com", secure: true, user: "ada" }]);
  });

  it("sends mail over TLS from the first octet on", async () => {
    const server = await mailServer({ tls: "implicit" });
    expect(await perform({ port: server.port, tls: "implicit" })).toMatchObject({ peer: { tls: { verified: true } } });
    expect(server.messages).toMatchObject([{ secure: true }]);
  });

  it("sends long mail, octet for octet", async () => {
    const server = await mailServer();
    const body = `${"x".repeat(62)}\r\n`;
    expect(await perform({ port: server.port, body, repeat: 100_000 })).toHaveProperty("reply");
    expect(server.messages[0]?.content.length).toBe(6_400_000);
  });

  it("sends mail in clear, and tells the address of the server where it was one", async () => {
    const server = await mailServer({ tls: "none", settings: { authOptional: true, authMethods: ["PLAIN"] } });
    const { port } = server;
    expect(await perform({ host: "127.0.0.1", port, tls: "none" })).toMatchObject({
      peer: { remoteAddress: "127.0.0.1", loopback: false },
    });
    expect(await perform({ port, tls: "none", ...account })).toMatchObject({ name: "SMTPNotSupportedError" });
  });

  it("sends nothing to a server whose certificate is for another name", async () => {
    const { wrongName } = await certificates();
    const server = await mailServer({ settings: { authOptional: true, ...wrongName } });
    expect(await perform({ port: server.port, ...account })).toMatchObject({
      name: "SMTPServerDisconnected",
      message: expect.stringMatching(/certificate is not for "localhost"/),
    });
    expect(server.messages).toEqual([]);
  });

  it("sends nothing to a server whose authority the platform does not know", async () => {
    const { foreign } = await certificates();
    const server = await mailServer({ tls: "implicit", settings: { authOptional: true, ...foreign } });
    expect(await perform({ port: server.port, tls: "implicit" })).toMatchObject({
      message: expect.stringMatching(/no public authority/),
    });
    expect(server.messages).toEqual([]);
  });

  it.each([
    [{ ca: "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----" }, "ca"],
    [{ cert: "x", key: "y" }, "cert and key"],
    [{ fingerprint256: "00".repeat(32) }, "fingerprint256"],
    [{ rejectUnauthorized: false }, "rejectUnauthorized: false"],
    [{ minVersion: "TLSv1.3" as const }, 'minVersion: "TLSv1.3"'],
  ])("refuses what the platform's TLS cannot do: %j", async (context, name) => {
    const server = await mailServer();
    const said = await perform({ port: server.port, options: { context } });
    expect(JSON.stringify(said)).toContain(JSON.stringify(`the TLS of Workers has no ${name}:`).slice(1, -1));
    expect(server.messages).toEqual([]);
  });

  it("takes what follows the 220 in clear for no part of TLS", async () => {
    await using server = await scripted(["220 ready\r\n", "250-x\r\n250 STARTTLS\r\n", "220 go\r\n250 injected\r\n"]);
    expect(await perform({ port: server.port })).toMatchObject({ name: "SMTPServerDisconnected" });
  });

  it("says that nobody listens", async () => {
    expect(await perform({ port: 1 })).toMatchObject({ name: "SMTPConnectError" });
  });

  it("rejects with the reason of a signal", async () => {
    const server = await mailServer();
    expect(await perform({ port: server.port, abort: true })).toMatchObject({ message: "changed my mind" });
  });

  it("ends in time where the server says nothing", async () => {
    await using server = await scripted([]);
    const options = { timeouts: { greeting: 0.2 } };
    expect(await perform({ port: server.port, options })).toMatchObject({ name: "SMTPTimeoutError" });
  });

  it("refuses Unix sockets and source addresses", async () => {
    expect(await perform({ path: "/run/lmtp" })).toMatchObject({ name: "TypeError" });
    expect(await perform({ sourceAddress: ["127.0.0.1", 0] })).toMatchObject({ name: "TypeError" });
  });
});

describe("bundling", () => {
  it.each(["browser", "node", "neutral"] as const)("needs no module of Cloudflare's for %s", async (platform) => {
    const text = await bundle("../../transports/workers.ts", platform);
    expect(text).toContain("cloudflare:sockets");
    expect(text).not.toMatch(/^import /m);
  });
});

async function bundle(file: string, platform: "browser" | "node" | "neutral" = "browser"): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [path.join(import.meta.dirname, file)],
    bundle: true,
    write: false,
    format: "esm",
    platform,
    logLevel: "silent",
  });
  return outputFiles[0]?.text ?? "";
}
