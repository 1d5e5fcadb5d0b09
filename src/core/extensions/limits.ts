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
  const portions: Portion[] = [];
  const homes = new Map<string, Portion>();
  let open: Portion | undefined;
  const hasRoom = (portion: Portion | undefined): portion is Portion =>
    portion !== undefined && portion.indexes.length < (rcptMax ?? Number.POSITIVE_INFINITY);
  for (const [index, domain] of domains.entries()) {
    const home = homes.get(domain);
    let portion = hasRoom(home) ? home : open;
    // What is not open any more takes recipients of its own domains alone: nothing has to be searched.
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

/** Recipients that go together, and how many domains they have. */
type Portion = { readonly indexes: number[]; domains: number };
