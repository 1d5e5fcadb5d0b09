/** What an SMTP extension is to this client: a keyword, what its EHLO line says, and the parameters it adds to MAIL and RCPT. */
import { SMTPNotSupportedError } from "../../errors.ts";
import { checkArgument, kindOf, wrongType } from "../bytes.ts";
import type { Server } from "../plan.ts";

/** Typed ESMTP parameters of MAIL. Each needs its extension in the server's EHLO. */
export type MailOptions = {
  /**
   * BODY= (RFC 6152, 3030). Declared automatically where the content needs it, except "BINARYMIME", with which each
   * byte is sent as it is, line ends included.
   */
  body?: "7BIT" | "8BITMIME" | "BINARYMIME" | undefined;
  /** SIZE=, in octets (RFC 1870). Declared by itself where the size is known; more than the server takes is refused. */
  size?: number | undefined;
  /** SMTPUTF8 (RFC 6531): addresses or header fields are not ASCII. Declared by itself for such addresses. */
  smtputf8?: boolean | undefined;
  /** RET= (RFC 3461): how much of the message a failure report returns. */
  ret?: "FULL" | "HDRS" | undefined;
  /** ENVID= (RFC 3461): names this transaction in delivery reports; ASCII, of 100 characters at most as xtext. */
  envid?: string | undefined;
  /** REQUIRETLS (RFC 8689): every hop must use verified TLS, this one too, or the message comes back. */
  requiretls?: boolean | undefined;
  /** BY= (RFC 2852): deliver within so many seconds, or notify or return; `trace` asks each hop to report. */
  by?: { seconds: number; mode: "notify" | "return"; trace?: boolean | undefined } | undefined;
  /** HOLDFOR= (RFC 4865): the server keeps the message so many seconds. */
  holdFor?: number | undefined;
  /** HOLDUNTIL= (RFC 4865): the server keeps the message until then. */
  // biome-ignore lint/style/noRestrictedGlobals: only the type, for a moment that the caller chose; no clock is read
  holdUntil?: Date | undefined;
  /** MT-PRIORITY= (RFC 6710): from -9 to 9. */
  mtPriority?: number | undefined;
  /** AUTH= (RFC 4954 5): the original submitter of the message; "<>" if unknown. */
  auth?: string | undefined;
};

/** Typed ESMTP parameters of RCPT. */
export type RcptOptions = {
  /** NOTIFY= (RFC 3461): the events that the sender is notified of for this recipient; "NEVER" stands alone. */
  notify?: readonly ("NEVER" | "SUCCESS" | "FAILURE" | "DELAY")[] | undefined;
  /** ORCPT= (RFC 3461, 6533): the original recipient, as "rfc822;user@example.com" or "utf-8;jürgen@example.com". */
  orcpt?: string | undefined;
  /**
   * RRVS= (RFC 7293): the mailbox must belong to the same person since then. `unsupported` says what a relay does whose
   * next hop lacks RRVS.
   */
  // biome-ignore lint/style/noRestrictedGlobals: only the type, for a moment that the caller chose; no clock is read
  rrvs?: { since: Date; unsupported?: "continue" | "reject" | undefined } | undefined;
};

/** The parameters of a server's extension keywords, parsed; malformed ones are left out. */
export type Offer = {
  /** SIZE: the most octets that a message may have; undefined: no fixed limit. */
  size?: { limit: number | undefined };
  /** AUTH: the SASL mechanisms, in upper case. */
  auth?: { mechanisms: readonly string[] };
  /** DELIVERBY: the shortest time with the mode "return", in seconds; undefined: any. */
  deliverBy?: { minimum: number | undefined };
  /** FUTURERELEASE: the longest time in seconds, and the latest moment, as "2030-01-01T00:00:00Z", for which a message is held. */
  futureRelease?: { longest: number | undefined; latest: string | undefined };
  /** MT-PRIORITY: the name of the profile that says how priorities are treated; undefined: not said. */
  mtPriority?: { profile: string | undefined };
  /** LIMITS: messages a session, recipients a message, recipients' domains a message; undefined: not said. */
  limits?: { mailMax: number | undefined; rcptMax: number | undefined; rcptDomainMax: number | undefined };
};

/** An extension: what its EHLO line says, the options it understands, and the parameters that they become. */
export type Extension = {
  /** The EHLO keyword, in upper case. */
  readonly keyword: string;
  /** Where it is specified. */
  readonly rfc: string;
  /** What the parameters behind the keyword say. */
  readonly offer?: (parameters: string) => Offer;
  /** What it adds to MAIL. */
  readonly mail?: Parameters<MailOptions>;
  /** What it adds to RCPT. */
  readonly rcpt?: Parameters<RcptOptions>;
};

/** What an extension adds to a command. */
export type Parameters<O> = {
  /** The options that belong to it. */
  readonly options: readonly (keyof O & string)[];
  /** Whether these options ask for it, where that is not simply that one of them is set. */
  readonly asked?: (options: O) => boolean;
  /** What the options become, checked. Without a server only for what no server could be told. */
  readonly of: (options: O, server: Server | undefined) => readonly string[];
};

/**
 * Gives `value` back if it is one of the words allowed.
 * @throws {RangeError} naming the option otherwise
 */
export function oneOf<T extends string>(value: T, allowed: readonly T[], option: string): T {
  if (allowed.includes(value)) return value;
  throw new RangeError(`the option ${option} must be ${allowed.join(", ")}, not ${JSON.stringify(value)}`);
}

/**
 * A parameter without a value, for an option that is true; `isSet` leaves out what is false.
 * @throws {TypeError} if it is no boolean
 */
export function flag(value: unknown, keyword: string, option: string): readonly string[] {
  if (typeof value !== "boolean") throw wrongType(`the option ${option}`, "a boolean", value);
  return [keyword];
}

/**
 * Gives `value` back if it is a text of at least one character.
 * @throws {TypeError} or {RangeError} naming the option otherwise
 */
export function someText(value: unknown, option: string): string {
  const text = checkArgument(value, `the option ${option}`);
  if (text === "") throw new RangeError(`the option ${option} must not be empty`);
  return text;
}

/**
 * Gives `value` back if it is a whole number in the range.
 * @throws {TypeError} if it is no number
 * @throws {RangeError} if it is none of these numbers
 */
export function wholeNumber(value: unknown, least: number, most: number, option: string): number {
  if (typeof value !== "number") throw wrongType(`the option ${option}`, "a number", value);
  if (Number.isSafeInteger(value) && value >= least && value <= most) return value;
  throw new RangeError(`the option ${option} must be a whole number from ${least} to ${most}, not ${value}`);
}

/**
 * A moment as RFC 3339 has it, in UTC and whole seconds.
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

/** The refusal of what goes beyond what the server said it can do, before the message is begun. */
export function beyond(keyword: string, limit: string): SMTPNotSupportedError {
  const details = { capability: keyword, delivery: "not-sent" } as const;
  return new SMTPNotSupportedError(`the server takes ${limit} (${keyword})`, details);
}

/** The whole number that a text is, of so many digits at most; undefined if it is none. */
export function numberIn(text: string | undefined, digits: number): number | undefined {
  return text !== undefined && /^\d+$/.test(text) && text.length <= digits ? Number(text) : undefined;
}

function isDate(value: unknown): value is { getTime(): number; toISOString(): string } {
  return Object.prototype.toString.call(value) === "[object Date]";
}
