/** The transport of Node, by `node:net` and `node:tls`; on Deno and Bun the way to what their own ones lack. */
import type { ByteStream, ConnectOptions, Endpoint, PeerInfo, Transport } from "../src/byte-stream.ts";
import { builtin, type NetConnectOptions, type NodeSocket, runtime } from "./node-builtins.ts";
import { SocketStream } from "./node-socket.ts";
import { upgradable } from "./tls-layer.ts";

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
  const local = await localEnd(endpoint, options);
  signal?.throwIfAborted();
  const socket = builtin("node:net").connect({ ...endpoint, ...local, noDelay: true, allowHalfOpen: true });
  await untilConnected(socket, signal);
  const stream = new SocketStream(socket, peerOf(socket, "path" in endpoint));
  // Deno's node:tls reads and queues without bound from a socket of node:net, but not through the layer.
  return runtime() === "deno" ? upgradable(stream) : stream;
};

async function localEnd(endpoint: Endpoint, { sourceAddress }: ConnectOptions): Promise<NetConnectOptions> {
  if ("path" in endpoint) return {};
  const [host, port] = sourceAddress ?? ["", 0];
  const localPort = port === 0 ? {} : { localPort: port };
  if (host === "") return { autoSelectFamily: true, ...localPort };
  const isIP = builtin("node:net").isIP(host);
  const source = isIP > 0 ? { address: host, family: isIP } : await builtin("node:dns").promises.lookup(host);
  return { localAddress: source.address, family: source.family, ...localPort };
}

function untilConnected(socket: NodeSocket, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const connected = () => {
      settle();
      resolve();
    };
    const failed = (error: unknown) => {
      settle();
      socket.destroy();
      reject(explained(error));
    };
    const aborted = () => {
      settle();
      socket.destroy();
      reject(signal?.reason);
    };
    const settle = () => {
      socket.off("connect", connected);
      socket.off("error", failed);
      signal?.removeEventListener("abort", aborted);
    };
    // Errors may still come after an abort; without a listener they would end the process.
    socket.on("error", () => {});
    socket.on("connect", connected);
    socket.on("error", failed);
    signal?.addEventListener("abort", aborted);
  });
}

/** Node gives one error for all addresses, without a text of its own. */
function explained(error: unknown): unknown {
  if (error instanceof AggregateError && error.message === "") {
    error.message = error.errors.map((each) => (each instanceof Error ? each.message : String(each))).join("; ");
  }
  return error;
}

function peerOf(socket: NodeSocket, isUnixSocket: boolean): PeerInfo {
  const { remoteAddress, localAddress } = socket;
  const loopback = isUnixSocket || (remoteAddress !== undefined && isLoopback(remoteAddress));
  return isUnixSocket
    ? { remoteAddress: undefined, localAddress: undefined, loopback, tls: undefined }
    : { remoteAddress, localAddress, loopback, tls: undefined };
}

/** RFC 1122 3.2.1.3 for IPv4, RFC 4291 2.5.3 for IPv6, and the one mapped into the other. */
function isLoopback(address: string): boolean {
  return address === "::1" || /^(::ffff:)?127\.\d+\.\d+\.\d+$/.test(address);
}
