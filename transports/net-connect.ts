/** Connects by `node:net`, on Node, Deno and Bun: tries each address of a host, and can cancel an attempt. */
import type { ConnectOptions, Endpoint } from "../src/byte-stream.ts";
import { type Address, type Attempt, connectToAny } from "./happy-eyeballs.ts";
import { builtin, type NetConnectOptions, type NetLocalOptions, type NodeSocket } from "./node-builtins.ts";
import type { ReadBuffer } from "./read-buffer.ts";
import { addressesOf } from "./resolve.ts";
import { deferred } from "./util.ts";

/** A connected socket, and the buffer that it reads into if it emits no "data" events. */
export type Connected = { readonly socket: NodeSocket; readonly buffer: ReadBuffer | undefined };

/**
 * Returns a connected socket, from the source address if there is one.
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

/** The one address of a Unix socket. */
const nowhere: Address = { address: "", family: 0 };

function begin(to: NetConnectOptions, buffer: ReadBuffer | undefined): Attempt<Connected> {
  const { promise, resolve, reject } = deferred<Connected>();
  const { onread } = buffer ?? {};
  const socket = builtin("node:net").connect({ ...to, ...(onread && { onread }), noDelay: true, allowHalfOpen: true });
  socket.once("connect", () => resolve({ socket, buffer }));
  // Never removed: errors may still come after the end, and without a listener they would end the process.
  socket.on("error", reject);
  return { connected: promise, cancel: () => socket.destroy() };
}

async function localEnd({
  sourceAddress: [host, localPort] = ["", 0],
  signal,
}: ConnectOptions): Promise<NetLocalOptions> {
  if (host === "") return localPort === 0 ? {} : { localPort };
  const [found] = await addressesOf(host, 0, signal);
  return { localAddress: found?.address, family: found?.family ?? 0, localPort };
}
