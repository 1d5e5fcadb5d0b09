/** LIMITS: how many messages and recipients a session may bring (RFC 9422). */
import { words } from "../features.ts";
import { type Extension, numberIn, type Offer } from "./extension.ts";

/** What a server limits; undefined: it does not say. */
export type Limits = NonNullable<Offer["limits"]>;

export const limits: Extension = {
  keyword: "LIMITS",
  rfc: "9422",
  offer: (parameters) => ({ limits: readLimits(parameters) }),
};

/** Reads the parameters of LIMITS. Limits that are unknown or malformed are as if they were not there (RFC 9422 3). */
export function readLimits(parameters: string): Limits {
  const found = new Map<string, number>();
  for (const word of words(parameters)) {
    const [, name = "", value] = /^([a-z\d_-]+)=(.*)$/i.exec(word) ?? [];
    // RFC 9422 4: six digits at most, and no limit is 0.
    const limit = /^0/.test(value ?? "") ? undefined : numberIn(value, 6);
    if (limit !== undefined) found.set(name.toUpperCase(), limit);
  }
  return { mailMax: found.get("MAILMAX"), rcptMax: found.get("RCPTMAX"), rcptDomainMax: found.get("RCPTDOMAINMAX") };
}

/**
 * Which recipients go together in a transaction, by their indexes: as few transactions as the limits allow, near enough,
 * each in the order given. `domains` has each recipient's domain.
 */
export function portionsWithin(domains: readonly string[], { rcptMax, rcptDomainMax }: Limits): number[][] {
  const portions: { indexes: number[]; domains: Set<string> }[] = [];
  for (const [index, domain] of domains.entries()) {
    const fits = portions.find(
      (portion) =>
        portion.indexes.length < (rcptMax ?? Number.POSITIVE_INFINITY) &&
        (portion.domains.has(domain) || portion.domains.size < (rcptDomainMax ?? Number.POSITIVE_INFINITY)),
    );
    if (fits === undefined) portions.push({ indexes: [index], domains: new Set([domain]) });
    else {
      fits.indexes.push(index);
      fits.domains.add(domain);
    }
  }
  return portions.map(({ indexes }) => indexes);
}
