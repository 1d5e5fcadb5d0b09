/** The transport of Node, by `node:net` and `node:tls`; on Deno and Bun it does what their own transports lack. */
import type { ByteStream, ConnectOptions, Endpoint, Transport } from "../src/byte-stream.ts";
import { connectNet } from "./net-connect.ts";
import { runtime } from "./node-builtins.ts";
import { SocketStream } from "./node-socket.ts";
import { ReadBuffer } from "./read-buffer.ts";
import { peerInfo } from "./socket-stream.ts";

/**
 * Connects to a TCP port or a Unix socket, unencrypted. Tries all addresses of a host, 250 ms apart, and uses the first
 * that answers (RFC 8305 5).
 *
 * @throws the runtime's own error if connecting fails, an `AggregateError` if a host has several addresses; the
 * signal's reason if it aborts
 * @example
 * ```ts
 * import { connect } from "smtplib/transports/node";
 *
 * const smtp = new SMTP("mail.example.com", 587, { transport: connect });
 * ```
 */
export const connect: Transport = async (endpoint: Endpoint, options: ConnectOptions): Promise<ByteStream> => {
  options.signal?.throwIfAborted();
  // Deno's node:tls reads from a socket of node:net without back-pressure, but not through the layer.
  const { upgradable } = runtime() === "deno" ? await import("./tls/upgradable.ts") : {};
  // One buffer for each attempt to connect; the sockets of Deno and Bun lack the option.
  const newBuffer = runtime() === "node" ? () => new ReadBuffer() : undefined;
  const { socket, buffer } = await connectNet(endpoint, options, newBuffer);
  const stream = new SocketStream(socket, peerInfo(endpoint, socket.remoteAddress, socket.localAddress), { buffer });
  return upgradable?.(stream) ?? stream;
};
