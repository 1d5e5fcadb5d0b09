/**
 * The contract on Deno's own sockets, twice: unchanged, so that the tests' authority requires `node:tls`; and with that
 * authority among Deno's own, so that `Deno.startTls` is used.
 */
import { once } from "node:events";
import net from "node:net";
import os from "node:os";
import path from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import type { ByteStream, PeerInfo, TlsOptions, Transport } from "../../src/byte-stream.ts";
import { connect } from "../../transports/deno.ts";
import { certificates, fingerprint256 } from "../support/certificates.ts";
import { open, readText, reasonOf } from "./bytes.ts";
import { describeTransport, gapsOfNodeTls, runningOn } from "./contract.ts";
import { serve, serveTls } from "./servers.ts";

declare const Deno: {
  startTls(connection: unknown, options: { hostname: string; caCerts?: string[] }): Promise<unknown>;
};

const available = runningOn("deno");

const keepsSocket = "Deno closes the socket of an unfinished handshake only when the peer answers or ends";
const gaps = {
  "connects from the source address and port asked for": "Deno.connect cannot choose it; the transport for Node does",
  "rejects with the reason when it is aborted during the handshake": keepsSocket,
  "ends a handshake that stalls when it is closed": keepsSocket,
};

describeTransport("deno", { transport: connect, available, gaps: { ...gaps, ...gapsOfNodeTls() } });
const untold = "Deno.startTls tells nothing of the session; the options that take node:tls give the certificate";
describeTransport("deno with Deno.startTls", {
  transport: trusting,
  available,
  gaps: {
    ...gaps,
    "exports the same keying material as the server": untold,
    "gives the server's certificate, when a session is resumed, too": untold,
  },
});

describe.skipIf(!available)("Deno's own sockets", () => {
  it("refuse a source address", async () => {
    const server = await serve();
    for (const sourceAddress of [["127.0.0.2", 0] as const, ["", 2525] as const]) {
      const reason = await reasonOf(connect(server.endpoint, { sourceAddress: [...sourceAddress] }));
      expect(reason).toBeInstanceOf(TypeError);
      expect(String(reason)).toContain("smtplib/transports/node");
    }
  });

  it("do TLS by Deno.startTls where it does all that is asked for, and never otherwise", async () => {
    const { ca, good, client } = await certificates();
    const pin = fingerprint256(good.cert);
    const server = await serveTls(good);
    const cases: [TlsOptions, "Deno.startTls" | "node:tls"][] = [
      [{}, "Deno.startTls"],
      [{ rejectUnauthorized: true, minVersion: "TLSv1.2" }, "Deno.startTls"],
      [{ ca }, "node:tls"],
      [{ rejectUnauthorized: false }, "node:tls"],
      [{ fingerprint256: pin }, "node:tls"],
      [{ minVersion: "TLSv1.3" }, "node:tls"],
      [{ ...client }, "node:tls"],
    ];
    const calls = spyOnStartTls();
    for (const [options, expected] of cases) {
      const before = calls();
      const stream = await open(connect, server.endpoint);
      await stream.startTls({ ...options, servername: "localhost" }).catch(() => {});
      expect([options, calls() > before ? "Deno.startTls" : "node:tls"]).toEqual([options, expected]);
    }
  });

  it("speak TLS over a Unix socket, which Deno.startTls does not take", async () => {
    const { ca, good } = await certificates();
    const inner = await serveTls(good, (socket) => void socket.write("hello"));
    const file = path.join(os.tmpdir(), `transport-tls-${process.pid}.sock`);
    const server = await serve((socket) => {
      const upstream = net.connect(inner.port, "127.0.0.1");
      upstream.on("error", () => socket.destroy());
      socket.pipe(upstream).pipe(socket);
    }, file);
    const stream = await open(connect, server.endpoint);
    await stream.startTls({ servername: "localhost", ca });
    expect(stream.peer).toMatchObject({ loopback: true, tls: { verified: true } });
    expect(await readText(stream, 5)).toBe("hello");
  });

  it("end a handshake at once on abort or close, though the socket stays until the peer ends", async () => {
    const endings: ((stream: ByteStream, reason: Error) => void)[] = [
      (stream, reason) => stream.abort(reason),
      (stream) => void stream.close(),
    ];
    for (const end of endings) {
      const server = await serve();
      const stream = await open(connect, server.endpoint);
      const socket = await server.accepted();
      const hello = once(socket, "data");
      const securing = reasonOf(stream.startTls({ servername: "localhost" }));
      await hello;
      const reason = new Error("no time left");
      const start = performance.now();
      end(stream, reason);
      const outcome = await securing;
      expect(performance.now() - start).toBeLessThan(1_000);
      expect(await reasonOf(stream.read())).toBe(outcome);
      if (end === endings[0]) expect(outcome).toBe(reason);
      const ended = once(socket, "end");
      socket.end();
      await ended;
    }
  });
});

/** Counts the calls of `Deno.startTls` in this test. */
function spyOnStartTls(): () => number {
  const { startTls } = Deno;
  let calls = 0;
  Deno.startTls = (...args) => {
    calls += 1;
    return startTls(...args);
  };
  onTestFinished(() => {
    Deno.startTls = startTls;
  });
  return () => calls;
}

/** A transport that passes `ca` to Deno as `caCerts`, beside its own authorities, if that is the only option. */
async function trusting(...args: Parameters<Transport>): Promise<ByteStream> {
  return new TrustingStream(await connect(...args));
}

class TrustingStream implements ByteStream {
  readonly #stream: ByteStream;

  constructor(stream: ByteStream) {
    this.#stream = stream;
  }

  get peer(): PeerInfo {
    return this.#stream.peer;
  }

  read(): Promise<Uint8Array | null> {
    return this.#stream.read();
  }

  write(data: Uint8Array): Promise<void> | undefined {
    return this.#stream.write(data);
  }

  close(): Promise<void> {
    return this.#stream.close();
  }

  abort(reason?: unknown): void {
    this.#stream.abort(reason);
  }

  async startTls({ ca, ...options }: TlsOptions & { servername: string }): Promise<void> {
    if (ca === undefined || ca.length === 0 || !String(ca).includes("BEGIN") || Object.keys(options).length > 1) {
      return this.#stream.startTls({ ca, ...options });
    }
    const { startTls } = Deno;
    Deno.startTls = (connection, native) => startTls(connection, { ...native, caCerts: [ca].flat() });
    try {
      await this.#stream.startTls(options);
    } finally {
      Deno.startTls = startTls;
    }
  }
}
