/** An SMTP extension: its keyword, its parameters in EHLO, and the parameters that it adds to MAIL and RCPT. */
import { SMTPNotSupportedError } from "../../errors.ts";
import { checkArgument, kindOf, wrongType } from "../bytes.ts";
import type { Server } from "../plan.ts";

/** Typed ESMTP parameters of MAIL. Each needs its extension in the server's EHLO. */
export type MailOptions = {
  /**
   * BODY= (RFC 6152, 3030). Declared automatically if the content needs it, except "BINARYMIME", which sends each byte
   * unchanged, including line ends.
   */
  body?: "7BIT" | "8BITMIME" | "BINARYMIME" | undefined;
  /** SIZE= in bytes (RFC 1870). Declared automatically if known; a size over the server's limit is refused. */
  size?: number | undefined;
  /** SMTPUTF8 (RFC 6531): for non-ASCII addresses or header fields. Declared automatically for such addresses. */
  smtputf8?: boolean | undefined;
  /** RET= (RFC 3461): how much of the message a failure report returns. */
  ret?: "FULL" | "HDRS" | undefined;
  /** ENVID= (RFC 3461): identifies this transaction in delivery reports; ASCII, at most 100 characters as xtext. */
  envid?: string | undefined;
  /** REQUIRETLS (RFC 8689): every hop, including this one, must use verified TLS, or the message is returned. */
  requiretls?: boolean | undefined;
  /** BY= (RFC 2852): deliver within this many seconds, or notify or return; `trace` asks each hop to report. */
  by?: { seconds: number; mode: "notify" | "return"; trace?: boolean | undefined } | undefined;
  /** HOLDFOR= (RFC 4865): the server holds the message this many seconds. */
  holdFor?: number | undefined;
  /** HOLDUNTIL= (RFC 4865): the server holds the message until this time. */
  // biome-ignore lint/style/noRestrictedGlobals: only the type, for a time that the caller chose; no clock is read
  holdUntil?: Date | undefined;
  /** MT-PRIORITY= (RFC 6710): from -9 to 9. */
  mtPriority?: number | undefined;
  /** AUTH= (RFC 4954 5): the original submitter of the message; "<>" if unknown. */
  auth?: string | undefined;
};

/** Typed ESMTP parameters of RCPT. */
export type RcptOptions = {
  /** NOTIFY= (RFC 3461): the events that are reported to the sender for this recipient; use "NEVER" alone. */
  notify?: readonly ("NEVER" | "SUCCESS" | "FAILURE" | "DELAY")[] | undefined;
  /** ORCPT= (RFC 3461, 6533): the original recipient, as "rfc822;user@example.com" or "utf-8;jürgen@example.com". */
  orcpt?: string | undefined;
  /**
   * RRVS= (RFC 7293): the mailbox must belong to the same person since then. `unsupported` is the action of a relay
   * whose next hop lacks RRVS.
   */
  // biome-ignore lint/style/noRestrictedGlobals: only the type, for a time that the caller chose; no clock is read
  rrvs?: { since: Date; unsupported?: "continue" | "reject" | undefined } | undefined;
};

/** The parameters of a server's extension keywords, parsed; malformed ones are left out. */
export type Offer = {
  /** SIZE: the maximum size of a message in bytes; undefined: no fixed limit. */
  size?: { limit: number | undefined };
  /** AUTH: the SASL mechanisms, in upper case. */
  auth?: { mechanisms: readonly string[] };
  /** DELIVERBY: the minimum time for the mode "return", in seconds; undefined: none. */
  deliverBy?: { minimum: number | undefined };
  /** FUTURERELEASE: the maximum hold time in seconds, and the latest release, as "2030-01-01T00:00:00Z". */
  futureRelease?: { longest: number | undefined; latest: string | undefined };
  /** MT-PRIORITY: the name of the profile for handling priorities; undefined: none. */
  mtPriority?: { profile: string | undefined };
  /** LIMITS: messages per session, recipients and recipient domains per message; undefined: not specified. */
  limits?: { mailMax: number | undefined; rcptMax: number | undefined; rcptDomainMax: number | undefined };
};

/** An extension: its EHLO parameters, its options, and the parameters that they become. */
export type Extension = {
  /** The EHLO keyword, in upper case. */
  readonly keyword: string;
  /** The number of its RFC. */
  readonly rfc: string;
  /** Parses the parameters after the keyword. */
  readonly offer?: (parameters: string) => Offer;
  /** Its parameters of MAIL. */
  readonly mail?: Parameters<MailOptions>;
  /** Its parameters of RCPT. */
  readonly rcpt?: Parameters<RcptOptions>;
};

/** The parameters of an extension. */
export type Parameters<O> = {
  /** The names of its options. */
  readonly options: readonly (keyof O & string)[];
  /** Whether these options request it; default: if one of them is set. */
  readonly asked?: (options: O) => boolean;
  /** Checks the options and returns parameters. Without a server, checks protocol rules only. */
  readonly of: (options: O, server: Server | undefined) => readonly string[];
};

/**
 * Returns `value` if it is one of the allowed words.
 * @throws {RangeError} naming the option otherwise
 */
export function oneOf<T extends string>(value: T, allowed: readonly T[], option: string): T {
  if (allowed.includes(value)) return value;
  throw new RangeError(`the option ${option} must be ${allowed.join(", ")}, not ${JSON.stringify(value)}`);
}

/**
 * A parameter without a value, for an option that is true; `isSet` excludes false ones.
 * @throws {TypeError} if it is no boolean
 */
export function flag(value: unknown, keyword: string, option: string): readonly string[] {
  if (typeof value !== "boolean") throw wrongType(`the option ${option}`, "a boolean", value);
  return [keyword];
}

/**
 * Returns `value` if it is a text of at least one character.
 * @throws {TypeError} or {RangeError} naming the option otherwise
 */
export function someText(value: unknown, option: string): string {
  const text = checkArgument(value, `the option ${option}`);
  if (text === "") throw new RangeError(`the option ${option} must not be empty`);
  return text;
}

/**
 * Returns `value` if it is a whole number in the range.
 * @throws {TypeError} if it is no number
 * @throws {RangeError} if it is none of these numbers
 */
export function wholeNumber(value: unknown, least: number, most: number, option: string): number {
  if (typeof value !== "number") throw wrongType(`the option ${option}`, "a number", value);
  if (Number.isSafeInteger(value) && value >= least && value <= most) return value;
  throw new RangeError(`the option ${option} must be a whole number from ${least} to ${most}, not ${value}`);
}

/**
 * A date in the format of RFC 3339, in UTC and whole seconds.
 * @throws {TypeError} if it is no Date
 * @throws {RangeError} if it is an invalid one
 */
export function timestamp(date: unknown, option: string): string {
  if (!isDate(date)) throw new TypeError(`the option ${option} must be a Date, not ${kindOf(date)}`);
  if (Number.isNaN(date.getTime())) throw new RangeError(`the option ${option} must be a valid Date`);
  const text = date.toISOString().replace(/\.\d+Z$/, "Z");
  if (text.length === "2030-01-01T00:00:00Z".length) return text;
  throw new RangeError(`the option ${option} must be a Date with a year of four digits, not ${text}`);
}

/** The refusal of a value beyond the server's limit, before the message is begun. */
export function beyond(keyword: string, limit: string): SMTPNotSupportedError {
  const details = { capability: keyword, delivery: "not-sent" } as const;
  return new SMTPNotSupportedError(`the server takes ${limit} (${keyword})`, details);
}

/** Parses a whole number of at most this many digits; undefined if the text is none. */
export function numberIn(text: string | undefined, digits: number): number | undefined {
  return text !== undefined && /^\d+$/.test(text) && text.length <= digits ? Number(text) : undefined;
}

function isDate(value: unknown): value is { getTime(): number; toISOString(): string } {
  return Object.prototype.toString.call(value) === "[object Date]";
}
