/** What a server says of its limits in the answer to EHLO (RFC 9422). */
import { type Features, words } from "../core/features.ts";

/** The limits that the pool keeps; what is not given is infinite. */
export type ServerLimits = {
  /** Messages by one connection. */
  readonly mailMax: number;
  /** Recipients of one message. */
  readonly rcptMax: number;
};

/** Reads them; what is unknown or malformed is ignored (RFC 9422 3). */
export function limitsOf(features: Features): ServerLimits {
  const limits = { mailMax: Number.POSITIVE_INFINITY, rcptMax: Number.POSITIVE_INFINITY };
  for (const word of words(features["limits"] ?? "")) {
    const [, name, value] = /^(MAILMAX|RCPTMAX)=([1-9]\d{0,5})$/i.exec(word) ?? [];
    if (name === undefined) continue;
    limits[name.toUpperCase() === "MAILMAX" ? "mailMax" : "rcptMax"] = Number(value);
  }
  return limits;
}
