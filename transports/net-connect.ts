/** Connecting by `node:net`, on Node, Deno and Bun: each address of a host is tried, and an attempt can be given up. */
import type { ConnectOptions, Endpoint } from "../src/byte-stream.ts";
import { type Address, type Attempt, connectToAny } from "./happy-eyeballs.ts";
import { waiter } from "./native-sockets.ts";
import { builtin, type NetConnectOptions, type NodeSocket } from "./node-builtins.ts";
import type { ReadBuffer } from "./read-buffer.ts";
import { addressesOf } from "./resolve.ts";

/** A connected socket, and what it reads into if it is not read by "data" events. */
export type Connected = { readonly socket: NodeSocket; readonly buffer: ReadBuffer | undefined };

/**
 * A connected socket, from the source address where one is given.
 *
 * @throws the reason of the signal; the runtime's own error, or an `AggregateError` of those for several addresses
 */
export async function connectNet(
  endpoint: Endpoint,
  options: ConnectOptions,
  newBuffer?: () => ReadBuffer,
): Promise<Connected> {
  const { signal } = options;
  const attempt = (to: NetConnectOptions): Attempt<Connected> => begin(to, newBuffer?.());
  if ("path" in endpoint) return connectToAny([nowhere], () => attempt({ path: endpoint.path }), signal);
  const { host, port } = endpoint;
  const local = await localEnd(options);
  const addresses = await addressesOf(host, local.family, signal);
  return connectToAny(addresses, ({ address }) => attempt({ ...local, host: address, port }), signal);
}

/** Stands for the one place where a Unix socket is. */
const nowhere: Address = { address: "", family: 0 };

function begin(to: NetConnectOptions, buffer: ReadBuffer | undefined): Attempt<Connected> {
  const { promise, resolve, reject } = waiter<Connected>();
  const { onread } = buffer ?? {};
  const socket = builtin("node:net").connect({ ...to, ...(onread && { onread }), noDelay: true, allowHalfOpen: true });
  socket.once("connect", () => resolve({ socket, buffer }));
  // Stays for good: errors may still come after the end, and without a listener they would end the process.
  socket.on("error", reject);
  return { connected: promise, cancel: () => socket.destroy() };
}

async function localEnd({
  sourceAddress: [host, localPort] = ["", 0],
  signal,
}: ConnectOptions): Promise<NetConnectOptions> {
  if (host === "") return localPort === 0 ? {} : { localPort };
  const [found] = await addressesOf(host, 0, signal);
  return { localAddress: found?.address, family: found?.family ?? 0, localPort };
}
