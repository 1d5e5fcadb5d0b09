/** An attacker can replay early data of TLS 1.3 (RFC 8446 8): a client must not send commands in it. */
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import type { Endpoint, Transport } from "../../src/byte-stream.ts";
import { connect as connectByBun } from "../../transports/bun.ts";
import { connect as connectByDeno } from "../../transports/deno.ts";
import { connect as connectByNode } from "../../transports/node.ts";
import { type Certificates, certificates, type Pair } from "../support/certificates.ts";
import { bridged } from "./bridged.ts";
import { bytes, open, readText } from "./bytes.ts";
import { runningOn } from "./contract.ts";
import { serve } from "./servers.ts";

const made: Certificates = await certificates();

const PRE_SHARED_KEY = 41;
const EARLY_DATA = 42;

/** The transports, and whether they resume sessions. */
const TRANSPORTS: readonly [name: string, transport: Transport, available: boolean, resumes: boolean][] = [
  ["node", connectByNode, true, runningOn("node")],
  ["deno", connectByDeno, runningOn("deno"), false],
  ["bun", connectByBun, runningOn("bun"), true],
  ["memory", bridged({}), true, runningOn("node")],
];

const hasOpenssl = spawnSync("openssl", ["version"]).status === 0;

describe.skipIf(!hasOpenssl && process.env["CI"] !== "true")("a server that would take early data", () => {
  for (const [name, transport, available, resumes] of TRANSPORTS) {
    it.skipIf(!available)(`gets none, also when a session is resumed, by the transport ${name}`, async () => {
      const behind = await startOpenssl(made.good);
      const hellos: Uint8Array[] = [];
      for (let session = 0; session < 3; session++) {
        const { endpoint, received } = await tap(behind.port);
        const stream = await open(transport, endpoint);
        await stream.startTls({ servername: "localhost", ca: made.ca });
        await stream.write(bytes("EHLO client.test\r\n"));
        // The server sends tickets before data.
        behind.say("250 hello\n");
        expect(await readText(stream, 10)).toBe("250 hello\n");
        await stream.close();
        hellos.push(received());
      }
      for (const hello of hellos) expect(extensionsOf(hello)).not.toContain(EARLY_DATA);
      // Without a resumed session there can be no early data.
      if (resumes) expect(extensionsOf(hellos[2] ?? new Uint8Array(0))).toContain(PRE_SHARED_KEY);
    });
  }
});

/** OpenSSL's server, with tickets that permit early data; one connection at a time. */
async function startOpenssl({ cert, key }: Pair): Promise<{ port: number; say(text: string): void }> {
  const folder = await mkdtemp(join(tmpdir(), "smtplib-openssl-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const [certFile, keyFile] = [join(folder, "cert.pem"), join(folder, "key.pem")];
  await writeFile(certFile, cert);
  await writeFile(keyFile, key);
  const limits = ["-early_data", "-max_early_data", "16384", "-no_anti_replay"];
  const args = ["s_server", "-accept", "127.0.0.1:0", "-tls1_3", "-cert", certFile, "-key", keyFile, ...limits];
  const child = spawn("openssl", args, { stdio: ["pipe", "pipe", "ignore"] });
  onTestFinished(() => void child.kill("SIGKILL"));
  let text = "";
  for (;;) {
    const [chunk] = await once(child.stdout, "data");
    text += String(chunk);
    const [, port] = /^ACCEPT 127\.0\.0\.1:(\d+)/m.exec(text) ?? [];
    // Discards the report about clients, which would fill the pipe.
    child.stdout.resume();
    if (port !== undefined) return { port: Number(port), say: (line) => void child.stdin.write(line) };
  }
}

/** An endpoint that leads to another port, and the bytes that it received. */
async function tap(port: number): Promise<{ endpoint: Endpoint; received(): Uint8Array }> {
  const chunks: Buffer[] = [];
  const { endpoint } = await serve((socket) => {
    const upstream = net.connect(port, "127.0.0.1");
    socket.on("data", (chunk: Buffer) => void chunks.push(chunk));
    socket.pipe(upstream).pipe(socket);
    socket.on("error", () => upstream.destroy());
    upstream.on("error", () => socket.destroy());
  });
  return { endpoint, received: () => Buffer.concat(chunks) };
}

/** The types of the extensions in a ClientHello, which is the first record (RFC 8446 4.1.2). */
function extensionsOf(record: Uint8Array): number[] {
  const view = new DataView(record.buffer, record.byteOffset, record.byteLength);
  // The record header, the handshake header, version and random.
  let at = 5 + 4 + 2 + 32;
  at += 1 + view.getUint8(at); // session id
  at += 2 + view.getUint16(at); // cipher suites
  at += 1 + view.getUint8(at); // compression methods
  const end = at + 2 + view.getUint16(at);
  const types: number[] = [];
  for (at += 2; at < end; at += 4 + view.getUint16(at + 2)) types.push(view.getUint16(at));
  return types;
}
