/** Servers for the transport tests, by `node:net` and `node:tls` in the test's own process; each ends with its test. */
import { once } from "node:events";
import net from "node:net";
import tls from "node:tls";
import { onTestFinished } from "vitest";
import type { Endpoint } from "../../src/byte-stream.ts";
import { MiB, pattern } from "./bytes.ts";

/** A listening server and its connections, in order. */
export type TestServer = {
  endpoint: Endpoint;
  port: number;
  /** The next connection that no earlier call returned, as soon as there is one. */
  accepted(): Promise<net.Socket>;
  /** Resolves when all clients have ended their connections; reads their bytes, and then ends the server's side. */
  idle(): Promise<void>;
};

/** Handles each connection; half-open connections stay open until the handler ends them. */
export type Handler = (socket: net.Socket) => void;

/** An unencrypted server on 127.0.0.1, on any port or the given one, or on the path of a Unix socket. */
export function serve(handler: Handler = () => {}, path?: string, port?: number): Promise<TestServer> {
  return listen(net.createServer({ allowHalfOpen: true }), "connection", handler, path, port);
}

/** A server that uses TLS from the first byte on. */
export function serveTls(options: tls.TlsOptions, handler: Handler = () => {}): Promise<TestServer> {
  return listen(tls.createServer(options), "secureConnection", handler);
}

/**
 * A server that answers the line "STARTTLS" with "220" and then uses TLS. The TLS server behind it has a separate
 * connection, since not all runtimes can upgrade the server's side in place.
 */
export async function serveStartTls(options: tls.TlsOptions, handler: Handler = () => {}): Promise<TestServer> {
  const inner = await serveTls(options, handler);
  return serve((socket) => {
    socket.once("data", () => {
      const upstream = net.connect(inner.port, "127.0.0.1", () => {
        socket.pipe(upstream);
        upstream.pipe(socket);
        socket.write("220 go ahead\r\n");
      });
      upstream.on("error", () => socket.destroy());
      socket.on("error", () => upstream.destroy());
    });
  });
}

/** Ends a connection with RST in place of FIN. */
export function reset(socket: net.Socket): void {
  socket.resetAndDestroy();
}

/** Resolves when the client has ended the connection, in either way. */
export async function gone(socket: net.Socket): Promise<void> {
  finish(socket);
  if (!socket.closed) await new Promise((resolve) => socket.once("close", resolve));
}

/** Sends this many bytes of the pattern, as fast as the client accepts them, and ends. */
export async function send(socket: net.Socket, length: number): Promise<void> {
  for (let at = 0; at < length; at += MiB) {
    if (!socket.write(pattern(at, MiB))) await once(socket, "drain").catch(() => {});
  }
  socket.end();
}

function finish(socket: net.Socket): void {
  if (socket.readableEnded) socket.end();
  else socket.once("end", () => socket.end()).resume();
}

async function listen(
  server: net.Server,
  event: "connection" | "secureConnection",
  handler: Handler,
  path?: string,
  asked = 0,
): Promise<TestServer> {
  const open = new Set<net.Socket>();
  const ready: net.Socket[] = [];
  const waiting: ((socket: net.Socket) => void)[] = [];
  let drained: (() => void)[] = [];

  server.on("connection", (socket) => {
    open.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => {
      open.delete(socket);
      if (open.size > 0) return;
      for (const resolve of drained) resolve();
      drained = [];
    });
  });
  server.on("tlsClientError", () => {});
  server.on(event, (socket: net.Socket) => {
    if (event === "secureConnection") socket.on("error", () => {});
    handler(socket);
    const waiter = waiting.shift();
    if (waiter === undefined) ready.push(socket);
    else waiter(socket);
  });

  if (path === undefined) server.listen(asked, "127.0.0.1");
  else server.listen(path);
  await once(server, "listening");
  onTestFinished(() => {
    for (const socket of open) socket.destroy();
    server.close();
  });

  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  return {
    endpoint: path === undefined ? { host: "127.0.0.1", port } : { path },
    port,
    accepted: () => {
      const socket = ready.shift();
      return socket === undefined ? new Promise((resolve) => waiting.push(resolve)) : Promise.resolve(socket);
    },
    idle: () => {
      for (const socket of open) if (event === "connection") finish(socket);
      return open.size === 0 ? Promise.resolve() : new Promise((resolve) => drained.push(resolve));
    },
  };
}

/** A hand-made `ServerHello` record with a protocol version, whatever the client offers: 2 is TLS 1.1, 3 is TLS 1.2. */
export function serverHello(minor: 2 | 3): Uint8Array {
  const body = [3, minor, ...new Array(32).fill(7), 0, 0xc0, 0x13, 0];
  const handshake = [2, 0, 0, body.length, ...body];
  return Uint8Array.from([22, 3, minor, 0, handshake.length, ...handshake]);
}

/** The fatal alert `protocol_version` (RFC 8446 6.2). */
export const protocolVersionAlert: Uint8Array = Uint8Array.of(21, 3, 1, 0, 2, 2, 70);
