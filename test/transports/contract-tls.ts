/** Contract: successful TLS, and its properties. */
import { X509Certificate } from "node:crypto";
import { once } from "node:events";
import type { Socket } from "node:net";
import tls from "node:tls";
import { expect } from "vitest";
import type { ByteStream, Endpoint, TlsOptions, Transport } from "../../src/byte-stream.ts";
import { TlsError } from "../../src/errors.ts";
import { certificates, fingerprint256 } from "../support/certificates.ts";
import {
  bytes,
  expectPattern,
  fillUntilStuck,
  HELD,
  MiB,
  MORE_THAN_HELD,
  open,
  pattern,
  readText,
  readToEnd,
  reasonOf,
  staysPending,
  wiping,
} from "./bytes.ts";
import type { Check } from "./contract.ts";
import { gone, send, serve, serveStartTls, serveTls } from "./servers.ts";

const echo = (socket: Socket): void => void socket.pipe(socket);

/** Connects and starts TLS at once. */
export async function secure(
  transport: Transport,
  endpoint: Endpoint,
  options: TlsOptions & { servername: string },
): Promise<ByteStream> {
  const stream = await open(transport, endpoint);
  await stream.startTls(options);
  return stream;
}

/** Declares the tests. */
export function describeTls(transport: Transport, check: Check): void {
  check("upgrades a connection in place and goes on both ways", async () => {
    const { ca, good } = await certificates();
    const server = await serveStartTls(good, echo);
    const stream = await open(transport, server.endpoint);
    const { tls: _, ...clear } = stream.peer;
    await stream.write(bytes("STARTTLS\r\n"));
    expect(await readText(stream, 14)).toBe("220 go ahead\r\n");
    await stream.startTls({ servername: "localhost", ca });
    await stream.write(bytes("EHLO localhost\r\n"));
    expect(await readText(stream, 16)).toBe("EHLO localhost\r\n");
    expect(stream.peer).toMatchObject(clear);
  });

  check("names the server in the handshake, unless it is an address (RFC 6066 3)", async () => {
    for (const [servername, name, named] of [
      ["mail.example.com", "mail.example.com", true],
      ["b\u00fccher.example.", "xn--bcher-kva.example", true],
      ["127.0.0.1", "127.0.0.1", false],
    ] as const) {
      const server = await serve();
      const stream = await open(transport, server.endpoint);
      const socket = await server.accepted();
      const hello = firstRecord(socket);
      const failed = reasonOf(stream.startTls({ servername }));
      expect((await hello).includes(name)).toBe(named);
      socket.end();
      expect(await failed).toBeInstanceOf(TlsError);
      await server.idle();
    }
  });

  check("tells what it knows of the session", async () => {
    const { ca, good } = await certificates();
    const server = await serveTls(good, echo);
    const stream = await secure(transport, server.endpoint, { servername: "localhost", ca });
    const info = stream.peer.tls;
    expect(info?.verified).toBe(true);
    expect(info?.protocol ?? "TLSv1.3").toMatch(/^TLSv1\.[23]$/);
    expect(info?.cipher ?? "TLS_X").toMatch(/^[A-Z0-9_-]+$/);
    expect(info?.fingerprint256 ?? fingerprint256(good.cert)).toBe(fingerprint256(good.cert));
  });

  check("exports the same keying material as the server", async () => {
    const { ca, good } = await certificates();
    const server = await serveTls(good, echo);
    const stream = await secure(transport, server.endpoint, { servername: "localhost", ca });
    const socket = await server.accepted();
    if (!(socket instanceof tls.TLSSocket)) throw new Error("the server does not speak TLS");
    const ours = stream.peer.tls?.exporter?.("EXPORTER-Channel-Binding", 32);
    const theirs = socket.exportKeyingMaterial(32, "EXPORTER-Channel-Binding", Buffer.alloc(0));
    expect(ours && Buffer.from(ours).toString("hex")).toBe(theirs.toString("hex"));
  });

  check("gives the server's certificate, when a session is resumed, too", async () => {
    const { ca, good } = await certificates();
    const server = await serveTls({ ...good, maxVersion: "TLSv1.2" }, (socket) => void socket.write("220 hello\r\n"));
    for (let session = 0; session < 2; session++) {
      const stream = await secure(transport, server.endpoint, { servername: "localhost", ca });
      expect(await readText(stream, 11)).toBe("220 hello\r\n");
      const { certificate } = stream.peer.tls ?? {};
      expect(certificate && Buffer.from(certificate)).toEqual(Buffer.from(new X509Certificate(good.cert).raw));
      await stream.close();
    }
  });

  check("reads what the server says right after the handshake", async () => {
    const { ca, good } = await certificates();
    const server = await serveTls(good, (socket) => void socket.write("220 mail.example.com\r\n"));
    const stream = await secure(transport, server.endpoint, { servername: "localhost", ca });
    expect(await readText(stream, 22)).toBe("220 mail.example.com\r\n");
  });

  check("sends and receives much under TLS", async () => {
    const { ca, good } = await certificates();
    const server = await serveTls(good, echo);
    const stream = await secure(transport, server.endpoint, { servername: "localhost", ca });
    const length = 8 * MiB;
    const writer = wiping(stream);
    const sending = (async () => {
      for (let at = 0; at < length; at += 64 * 1024) await writer.write(pattern(at, 64 * 1024));
    })();
    let at = 0;
    while (at < length) {
      const chunk = await stream.read();
      if (chunk === null) break;
      expectPattern(chunk, at);
      at += chunk.length;
    }
    await sending;
    expect(at).toBe(length);
  });

  check("makes the writer wait under TLS while the peer does not read", async () => {
    const { ca, good } = await certificates();
    const server = await serveStartTls(good);
    const stream = await open(transport, server.endpoint);
    await stream.write(bytes("STARTTLS\r\n"));
    await readText(stream, 14);
    await stream.startTls({ servername: "localhost", ca });
    const socket = await server.accepted();
    socket.unpipe();
    socket.pause();
    const { taken, blocked } = await fillUntilStuck(stream, MORE_THAN_HELD);
    expect(taken).toBeLessThan(HELD);
    stream.abort(new Error("enough"));
    await expect(blocked).rejects.toThrow("enough");
    await server.idle();
  });

  check("makes the peer wait under TLS while nobody reads", async () => {
    const { ca, good } = await certificates();
    const server = await serveStartTls(good, (socket) => void send(socket, MORE_THAN_HELD));
    const stream = await open(transport, server.endpoint);
    await stream.write(bytes("STARTTLS\r\n"));
    await readText(stream, 14);
    await stream.startTls({ servername: "localhost", ca });
    const socket = await server.accepted();
    for (let before = -1; before !== socket.bytesWritten; ) {
      before = socket.bytesWritten;
      await staysPending(new Promise(() => {}));
    }
    expect(socket.bytesWritten).toBeLessThan(HELD);
    let at = 0;
    for (let chunk = await stream.read(); chunk !== null; chunk = await stream.read()) {
      expectPattern(chunk, at);
      at += chunk.length;
    }
    expect(at).toBe(MORE_THAN_HELD);
  });

  check("verifies an IP address as an address", async () => {
    const { ca, good } = await certificates();
    const server = await serveTls(good, echo);
    const stream = await secure(transport, server.endpoint, { servername: "127.0.0.1", ca });
    expect(stream.peer.tls?.verified).toBe(true);
  });

  check("trusts each of several authorities", async () => {
    const { ca, otherCa, good, foreign } = await certificates();
    for (const pair of [good, foreign]) {
      const server = await serveTls(pair, echo);
      await secure(transport, server.endpoint, { servername: "localhost", ca: [otherCa, ca] });
      await secure(transport, server.endpoint, { servername: "localhost", ca: `${ca}\n${otherCa}` });
    }
  });

  check("shows its certificate to a server that asks for one", async () => {
    const { ca, good, client } = await certificates();
    const server = await serveTls({ ...good, ca, requestCert: true, rejectUnauthorized: true }, (socket) =>
      socket.write("welcome"),
    );
    const stream = await secure(transport, server.endpoint, { servername: "localhost", ca, ...client });
    expect(await readText(stream, 7)).toBe("welcome");
  });

  check("fails on a server that asks for a certificate where it has none", async () => {
    const { ca, good } = await certificates();
    const server = await serveTls({ ...good, ca, requestCert: true, rejectUnauthorized: true }, (socket) =>
      socket.write("welcome"),
    );
    const stream = await open(transport, server.endpoint);
    const outcome = await stream
      .startTls({ servername: "localhost", ca })
      .then(() => readToEnd(stream))
      .catch(() => "");
    expect(outcome).toBe("");
  });

  check("takes any certificate where verification is off, and says so", async () => {
    const { selfSigned, wrongName, expired } = await certificates();
    for (const pair of [selfSigned, wrongName, expired]) {
      const server = await serveTls(pair, echo);
      const stream = await secure(transport, server.endpoint, { servername: "localhost", rejectUnauthorized: false });
      expect(stream.peer.tls?.verified).toBe(false);
      await stream.write(bytes("hello"));
      expect(await readText(stream, 5)).toBe("hello");
    }
  });

  check("takes a pinned certificate, written with or without colons", async () => {
    const { ca, good } = await certificates();
    const server = await serveTls(good, echo);
    const pin = fingerprint256(good.cert);
    for (const fingerprint of [pin, pin.replaceAll(":", "").toLowerCase(), ["00".repeat(32), pin]]) {
      await secure(transport, server.endpoint, { servername: "localhost", ca, fingerprint256: fingerprint });
    }
  });

  check("takes a pinned certificate again and again", async () => {
    const { ca, good } = await certificates();
    const server = await serveTls(good, (socket) => void socket.write("hello"));
    const pin = fingerprint256(good.cert);
    for (let i = 0; i < 3; i++) {
      const options = { servername: "localhost", ca, fingerprint256: pin };
      const stream = await secure(transport, server.endpoint, options);
      expect(await readText(stream, 5)).toBe("hello");
      expect(stream.peer.tls).toMatchObject({ verified: true, fingerprint256: pin });
      await stream.close();
    }
  });

  check("lets the pin alone decide where verification is off", async () => {
    const { selfSigned } = await certificates();
    const server = await serveTls(selfSigned, echo);
    const options = { servername: "elsewhere.example", rejectUnauthorized: false };
    await secure(transport, server.endpoint, { ...options, fingerprint256: fingerprint256(selfSigned.cert) });
    const stream = await open(transport, server.endpoint);
    const reason = await reasonOf(stream.startTls({ ...options, fingerprint256: "00".repeat(32) }));
    expect(reason).toBeInstanceOf(TlsError);
    expect(reason).toMatchObject({ failure: "fingerprint" });
  });

  check("speaks TLS 1.3 where nothing older is allowed", async () => {
    const { ca, good } = await certificates();
    const server = await serveTls(good, echo);
    const stream = await secure(transport, server.endpoint, { servername: "localhost", ca, minVersion: "TLSv1.3" });
    expect(stream.peer.tls?.protocol ?? "TLSv1.3").toBe("TLSv1.3");
    await stream.write(bytes("hello"));
    expect(await readText(stream, 5)).toBe("hello");
  });

  check("checks each connection by its own options, whatever an earlier one was allowed", async () => {
    const { ca, good } = await certificates();
    const server = await serveTls(good, (socket) => void socket.write("hello"));
    for (let i = 0; i < 3; i++) {
      const stream = await secure(transport, server.endpoint, { servername: "localhost", ca });
      expect(await readText(stream, 5)).toBe("hello");
      expect(stream.peer.tls?.verified).toBe(true);
      await stream.close();
    }
    await secure(transport, server.endpoint, { servername: "localhost", rejectUnauthorized: false });
    const others: [TlsOptions & { servername: string }, string][] = [
      [{ servername: "elsewhere.example", ca }, "name"],
      [{ servername: "localhost" }, "issuer"],
      [{ servername: "localhost", ca, fingerprint256: "00".repeat(32) }, "fingerprint"],
    ];
    for (const [options, failure] of others) {
      const stream = await open(transport, server.endpoint);
      expect(await reasonOf(stream.startTls(options))).toMatchObject({ failure });
    }
  });

  check("reads null once the peer has ended its side under TLS", async () => {
    const { ca, good } = await certificates();
    const server = await serveTls(good, (socket) => void socket.end("221 bye\r\n"));
    const stream = await secure(transport, server.endpoint, { servername: "localhost", ca });
    expect(await readToEnd(stream)).toBe("221 bye\r\n");
    expect(await stream.read()).toBeNull();
    await stream.close();
    await server.idle();
  });

  check("sends all that is queued before it closes under TLS", async () => {
    const { ca, good } = await certificates();
    let received = 0;
    const server = await serveTls(good, (socket) => {
      socket.on("data", (chunk) => {
        received += chunk.length;
      });
    });
    const stream = await secure(transport, server.endpoint, { servername: "localhost", ca });
    const ended = once(await server.accepted(), "end");
    void stream.write(pattern(0, 2 * MiB))?.catch(() => {});
    await stream.close();
    await ended;
    expect(received).toBe(2 * MiB);
    await server.idle();
  });

  check("rejects a pending read under TLS with the reason of an abort, and drops the connection", async () => {
    const { ca, good } = await certificates();
    const server = await serveTls(good);
    const stream = await secure(transport, server.endpoint, { servername: "localhost", ca });
    const socket = await server.accepted();
    const reading = reasonOf(stream.read());
    const reason = new Error("aborted by the test");
    stream.abort(reason);
    expect(await reading).toBe(reason);
    expect(await reasonOf(Promise.resolve(stream.write(bytes("x"))))).toBe(reason);
    await gone(socket);
    await server.idle();
  });

  check("gives an early reply although a write fails at the same time under TLS", async () => {
    const { ca, good } = await certificates();
    const server = await serveTls(good, (socket) => socket.pause());
    for (let round = 0; round < 5; round++) {
      const stream = await secure(transport, server.endpoint, { servername: "localhost", ca });
      const socket = await server.accepted();
      await stream.write(bytes("some of the body\r\n"));
      socket.write("552 too big\r\n", () => socket.destroy());
      const failed = reasonOf(
        (async () => {
          for (let at = 0; at < 64 * MiB; at += MiB) await stream.write(pattern(at, MiB));
        })(),
      );
      expect(await readText(stream, 13)).toBe("552 too big\r\n");
      expect(await failed).toBeInstanceOf(Error);
      stream.abort();
    }
  });

  check("gives what came before the connection was lost under TLS", async () => {
    const { ca, good } = await certificates();
    const server = await serveTls(good, (socket) => {
      socket.write("421 bye\r\n", () => socket.destroy());
    });
    const stream = await secure(transport, server.endpoint, { servername: "localhost", ca });
    expect(await readText(stream, 9)).toBe("421 bye\r\n");
    expect(await stream.read().catch(() => null)).toBeNull();
  });
}

/** The first TLS record of a client, which is unencrypted. */
async function firstRecord(socket: Socket): Promise<Buffer> {
  let received = Buffer.alloc(0);
  while (received.length < 5 || received.length < 5 + received.readUInt16BE(3)) {
    const [chunk] = await once(socket, "data");
    received = Buffer.concat([received, chunk]);
  }
  return received;
}
