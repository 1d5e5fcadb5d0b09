/** The transport of Node, by `node:net` and `node:tls`; on Deno and Bun the way to what their own ones lack. */
import type { ByteStream, ConnectOptions, Endpoint, Transport } from "../src/byte-stream.ts";
import { orAborted, peerInfo, waiter } from "./native-sockets.ts";
import { builtin, type NetConnectOptions, runtime } from "./node-builtins.ts";
import { socketStream } from "./node-socket.ts";

/**
 * Connects in clear to a TCP port (trying the host's addresses as RFC 8305 has it) or a Unix socket.
 *
 * @throws the runtime's own error where no connection comes about; the signal's reason where it aborts.
 * @example
 * ```ts
 * import { connect } from "smtplib/transports/node";
 *
 * const smtp = new SMTP("mail.example.com", 587, { transport: connect });
 * ```
 */
export const connect: Transport = async (endpoint: Endpoint, options: ConnectOptions): Promise<ByteStream> => {
  const { signal } = options;
  signal?.throwIfAborted();
  const { connect } = builtin("node:net");
  const local = "path" in endpoint ? {} : await localEnd(options);
  // Deno's node:tls reads and queues without bound from a socket of node:net, but not through the layer.
  const { upgradable } = runtime() === "deno" ? await import("./upgradable.ts") : {};
  signal?.throwIfAborted();
  const connected = waiter<void>();
  const socket = connect({ ...endpoint, ...local, autoSelectFamily: true, noDelay: true, allowHalfOpen: true });
  socket.once("connect", connected.resolve);
  // Stays for good: errors may still come after an abort, and without a listener they would end the process.
  socket.on("error", connected.reject);
  try {
    await orAborted(connected.promise, signal, () => socket.destroy());
  } catch (error) {
    socket.destroy();
    throw explained(error);
  }
  const stream = socketStream(socket, peerInfo(endpoint, socket.remoteAddress, socket.localAddress));
  return upgradable?.(stream) ?? stream;
};

async function localEnd({ sourceAddress: [host, localPort] = ["", 0] }: ConnectOptions): Promise<NetConnectOptions> {
  if (host === "") return { localPort };
  const { address, family } = await builtin("node:dns").promises.lookup(host);
  return { localAddress: address, family, localPort };
}

/** Node gives one error for all addresses, without a text of its own. */
function explained(error: unknown): unknown {
  if (error instanceof AggregateError && error.message === "") {
    error.message = error.errors.map(({ message }: Error) => message).join("; ");
  }
  return error;
}
