/** LIMITS: the maximum numbers of messages and recipients in a session (RFC 9422). */
import { words } from "../features.ts";
import { type Extension, numberIn, type Offer } from "./extension.ts";

/** A server's limits; undefined: not specified. */
export type Limits = NonNullable<Offer["limits"]>;

export const limits: Extension = {
  keyword: "LIMITS",
  rfc: "9422",
  offer: (parameters) => ({ limits: readLimits(parameters) }),
};

/** Reads the parameters of LIMITS. Ignores unknown or malformed limits (RFC 9422 3). */
export function readLimits(parameters: string): Limits {
  const found = new Map<string, number>();
  for (const word of words(parameters)) {
    const [, name = "", value] = /^([a-z\d_-]+)=(.*)$/i.exec(word) ?? [];
    // RFC 9422 4: at most six digits, and no limit is 0.
    const limit = /^0/.test(value ?? "") ? undefined : numberIn(value, 6);
    if (limit !== undefined) found.set(name.toUpperCase(), limit);
  }
  return { mailMax: found.get("MAILMAX"), rcptMax: found.get("RCPTMAX"), rcptDomainMax: found.get("RCPTDOMAINMAX") };
}

/**
 * Divides recipients into transactions, by their indexes: nearly as few as the limits allow, each in the original
 * order. `domains` has each recipient's domain.
 */
export function portionsWithin(domains: readonly string[], { rcptMax, rcptDomainMax }: Limits): number[][] {
  const portions: Portion[] = [];
  const homes = new Map<string, Portion>();
  let open: Portion | undefined;
  const hasRoom = (portion: Portion | undefined): portion is Portion =>
    portion !== undefined && portion.indexes.length < (rcptMax ?? Number.POSITIVE_INFINITY);
  for (const [index, domain] of domains.entries()) {
    const home = homes.get(domain);
    let portion = hasRoom(home) ? home : open;
    // A portion that is no longer open accepts only recipients of its own domains, which avoids a search.
    if (!hasRoom(portion) || (portion !== home && portion.domains >= (rcptDomainMax ?? Number.POSITIVE_INFINITY))) {
      portion = { indexes: [], domains: 0 };
      portions.push(portion);
      open = portion;
    }
    if (portion !== home) {
      homes.set(domain, portion);
      portion.domains++;
    }
    portion.indexes.push(index);
  }
  return portions.map(({ indexes }) => indexes);
}

/** The recipients of one transaction, and their number of domains. */
type Portion = { readonly indexes: number[]; domains: number };
