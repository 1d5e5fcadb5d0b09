/** From a host to its addresses, by the system's resolver. */
import type { Address } from "./happy-eyeballs.ts";
import { builtin } from "./node-builtins.ts";
import { asciiName, isAddress } from "./tls/options.ts";
import { noop, raceAbort } from "./util.ts";

/**
 * The addresses of a host in the resolver's order; an address is its own.
 *
 * @param family 4 or 6 for addresses of that family only, 0 for all
 * @throws the resolver's error, or the reason of the signal; a query that is given up still ends in its own time
 */
export async function addressesOf(
  host: string,
  family = 0,
  signal?: AbortSignal | undefined,
): Promise<readonly Address[]> {
  if (isAddress(host)) return [{ address: host, family: host.includes(":") ? 6 : 4 }];
  const name = host === "" ? "localhost" : asciiName(host, "host");
  return raceAbort(lookUp(name, family), signal, noop);
}

/** Node and Deno ask the system; so does Bun for "libc", where its `node:dns` asks name servers on its own. */
function lookUp(host: string, family: number): Promise<readonly Address[]> {
  if (typeof Bun !== "undefined") return Bun.dns.lookup(host, { family, backend: "libc" });
  return builtin("node:dns").promises.lookup(host, { all: true, family });
}

/** What of `Bun` is used here. */
declare const Bun: {
  dns: { lookup(host: string, options: { family: number; backend: "libc" }): Promise<readonly Address[]> };
};
