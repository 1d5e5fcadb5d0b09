/** Resolves a host to its addresses with the system's resolver. */
import type { Address } from "./happy-eyeballs.ts";
import { builtin } from "./node-builtins.ts";
import { asciiName, isAddress } from "./tls/options.ts";
import { noop, raceAbort } from "./util.ts";

/**
 * Returns the addresses of a host in the resolver's order; an address resolves to itself.
 *
 * @param family 4 or 6 for addresses of that family only, 0 for all
 * @throws the resolver's error, or the reason of the signal; an abandoned query still runs to its end
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

/** The used part of `Bun`. */
declare const Bun: {
  dns: { lookup(host: string, options: { family: number; backend: "libc" }): Promise<readonly Address[]> };
};
