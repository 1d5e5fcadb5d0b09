/** Which transport is the running runtime's own: the one place where `src/` meets `transports/`, on first use only. */
import type { ConnectOptions, Endpoint, Transport } from "./byte-stream.ts";

/** What the connection to be made asks of a transport. */
export type TransportNeeds = { readonly endpoint: Endpoint; readonly options: ConnectOptions };

/** The running runtime's own transport. Deno and Bun cannot choose a source address by themselves: `node:net` can. */
export async function defaultTransport(needs: TransportNeeds): Promise<Transport> {
  if (needs.options.sourceAddress === undefined) {
    if ("Deno" in globalThis) return (await import("../transports/deno.ts")).connect;
    if ("Bun" in globalThis) return (await import("../transports/bun.ts")).connect;
  }
  return (await import("../transports/node.ts")).connect;
}
