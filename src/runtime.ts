/** Chooses the runtime's own transport, and loads it on first use. */
import type { ConnectOptions, Endpoint, Transport } from "./byte-stream.ts";

/** The requirements of a connection on its transport. */
export type TransportNeeds = { readonly endpoint: Endpoint; readonly options: ConnectOptions };

/** The runtime's own transport. Deno and Bun cannot choose a source address; `node:net` can. */
export async function defaultTransport(needs: TransportNeeds): Promise<Transport> {
  if (needs.options.sourceAddress === undefined) {
    if ("Deno" in globalThis) return (await import("../transports/deno.ts")).connect;
    if ("Bun" in globalThis) return (await import("../transports/bun.ts")).connect;
  }
  return (await import("../transports/node.ts")).connect;
}
