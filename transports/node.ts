/** The transport of Node, by `node:net` and `node:tls`; on Deno and Bun the way to what their own ones lack. */
import type { ByteStream, ConnectOptions, Endpoint, Transport } from "../src/byte-stream.ts";
import { peerInfo } from "./native-sockets.ts";
import { connectNet } from "./net-connect.ts";
import { runtime } from "./node-builtins.ts";
import { SocketStream } from "./node-socket.ts";
import { ReadBuffer } from "./read-buffer.ts";

/**
 * Connects in clear to a TCP port or a Unix socket. All addresses of a host are tried, 250 ms apart, and the first that
 * answers is taken (RFC 8305 5).
 *
 * @throws the runtime's own error where no connection comes about, an `AggregateError` where a host has several
 * addresses; the signal's reason where it aborts.
 * @example
 * ```ts
 * import { connect } from "smtplib/transports/node";
 *
 * const smtp = new SMTP("mail.example.com", 587, { transport: connect });
 * ```
 */
export const connect: Transport = async (endpoint: Endpoint, options: ConnectOptions): Promise<ByteStream> => {
  options.signal?.throwIfAborted();
  // Deno's node:tls reads and queues without bound from a socket of node:net, but not through the layer.
  const { upgradable } = runtime() === "deno" ? await import("./upgradable.ts") : {};
  // Each attempt to connect has a buffer of its own: the sockets of Deno and Bun lack the option.
  const newBuffer = runtime() === "node" ? () => new ReadBuffer() : undefined;
  const { socket, buffer } = await connectNet(endpoint, options, newBuffer);
  const stream = new SocketStream(socket, peerInfo(endpoint, socket.remoteAddress, socket.localAddress), { buffer });
  return upgradable?.(stream) ?? stream;
};
