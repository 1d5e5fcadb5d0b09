/** Contract: how a transport connects, fails to connect, and gives up. */
import { once } from "node:events";
import net from "node:net";
import os from "node:os";
import path from "node:path";
import { expect } from "vitest";
import type { Transport } from "../../src/byte-stream.ts";
import { bytes, open, readText, reasonOf } from "./bytes.ts";
import type { Check } from "./contract.ts";
import { gone, serve } from "./servers.ts";

/** Declares the tests. */
export function describeConnecting(transport: Transport, check: Check): void {
  check("connects and says who is at both ends", async () => {
    const server = await serve();
    const stream = await open(transport, server.endpoint);
    const { peer } = stream;
    expect(peer).toMatchObject({ remoteAddress: "127.0.0.1", localAddress: "127.0.0.1", loopback: true });
    expect(peer.tls).toBeUndefined();
  });

  check("finds a host by its name", async () => {
    const server = await serve((socket) => socket.end("hello"));
    const stream = await open(transport, { host: "localhost", port: server.port });
    expect(await readText(stream, 5)).toBe("hello");
    expect(stream.peer.loopback).toBe(true);
  });

  check("connects to a Unix socket", async () => {
    const file = path.join(os.tmpdir(), `transport-${process.pid}-${Math.random().toString(36).slice(2)}.sock`);
    const server = await serve((socket) => socket.pipe(socket), file);
    const stream = await open(transport, server.endpoint);
    expect(stream.peer.loopback).toBe(true);
    await stream.write(bytes("hello"));
    expect(await readText(stream, 5)).toBe("hello");
  });

  check("rejects with the runtime's own error where nobody listens", async () => {
    const reason = await reasonOf(transport({ host: "127.0.0.1", port: await unusedPort() }, {}));
    expect(reason).toBeInstanceOf(Error);
    expect(String(reason)).toMatch(/refused|ECONNREFUSED|failed to connect/i);
  });

  check("rejects where the host is unknown", async () => {
    expect(await reasonOf(transport({ host: "no-such-host.invalid", port: 25 }, {}))).toBeInstanceOf(Error);
  });

  check("rejects where there is no such Unix socket", async () => {
    const missing = path.join(os.tmpdir(), `missing-${process.pid}.sock`);
    expect(await reasonOf(transport({ path: missing }, {}))).toBeInstanceOf(Error);
  });

  check("connects from the source address and port asked for", async () => {
    const server = await serve();
    const port = await unusedPort();
    await open(transport, server.endpoint, { sourceAddress: ["127.0.0.2", port] });
    const socket = await server.accepted();
    expect([socket.remoteAddress, socket.remotePort]).toEqual(["127.0.0.2", port]);
  });

  check("leaves the source to the system where it is empty and 0", async () => {
    const server = await serve((socket) => socket.end("hello"));
    const stream = await open(transport, server.endpoint, { sourceAddress: ["", 0] });
    expect(await readText(stream, 5)).toBe("hello");
  });

  check("rejects with the reason of a signal that is already aborted, and does not connect", async () => {
    const server = await serve();
    const reason = new Error("no time left");
    expect(await reasonOf(transport(server.endpoint, { signal: AbortSignal.abort(reason) }))).toBe(reason);
    const next = await open(transport, server.endpoint);
    await server.accepted();
    next.abort();
    await server.idle();
  });

  check("rejects with the reason of a signal that aborts while connecting, and leaves no connection", async () => {
    const server = await serve();
    for (const endpoint of [server.endpoint, { host: "localhost", port: server.port }]) {
      const controller = new AbortController();
      const connecting = transport(endpoint, { signal: controller.signal });
      const reason = new Error("changed my mind");
      controller.abort(reason);
      expect(await reasonOf(connecting)).toBe(reason);
    }
    await server.idle();
  });

  check("takes no notice of a signal once it is connected, and keeps no listener on it", async () => {
    const server = await serve((socket) => socket.pipe(socket));
    const controller = new AbortController();
    let listeners = 0;
    const { signal } = controller;
    const add = signal.addEventListener.bind(signal);
    const remove = signal.removeEventListener.bind(signal);
    signal.addEventListener = (...args: Parameters<typeof add>) => {
      listeners += 1;
      add(...args);
    };
    signal.removeEventListener = (...args: Parameters<typeof remove>) => {
      listeners -= 1;
      remove(...args);
    };
    const stream = await open(transport, server.endpoint, { signal });
    expect(listeners).toBe(0);
    controller.abort();
    await stream.write(bytes("still here"));
    expect(await readText(stream, 10)).toBe("still here");
  });

  check("sends small writes at once, without waiting for an acknowledgement", async () => {
    const server = await serve((socket) => socket.on("data", () => {}));
    const stream = await open(transport, server.endpoint);
    const socket = await server.accepted();
    const start = performance.now();
    for (let i = 0; i < 20; i++) {
      const arrived = once(socket, "data");
      await stream.write(bytes("a"));
      await stream.write(bytes("b"));
      await arrived;
    }
    expect(performance.now() - start).toBeLessThan(400);
    stream.abort();
    await gone(socket);
  });
}

async function unusedPort(): Promise<number> {
  const server = net.createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  if (typeof address !== "object" || address === null) throw new Error("no port");
  return address.port;
}
