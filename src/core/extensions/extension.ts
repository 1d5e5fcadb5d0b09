/** What an SMTP extension is to this client: a keyword, and the parameters it adds to MAIL and RCPT. */
import { checkArgument, wrongType } from "../bytes.ts";

/** Typed ESMTP parameters of MAIL. Each needs its extension in the server's EHLO. */
export type MailOptions = {
  /** BODY= (RFC 6152, 3030). Declared by itself where the content needs it. */
  body?: "7BIT" | "8BITMIME" | "BINARYMIME" | undefined;
  /** SIZE=, in octets (RFC 1870). Declared by itself where the size is known. */
  size?: number | undefined;
  /** SMTPUTF8 (RFC 6531): addresses or header fields are not ASCII. Declared by itself for such addresses. */
  smtputf8?: boolean | undefined;
  /** RET= (RFC 3461): how much of the message a failure report returns. */
  ret?: "FULL" | "HDRS" | undefined;
  /** ENVID= (RFC 3461): names this transaction in delivery reports. */
  envid?: string | undefined;
  /** REQUIRETLS (RFC 8689): every hop must use verified TLS, or the message comes back. */
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
  /** AUTH= (RFC 4954 5): who submitted the message first; "<>" for unknown. */
  auth?: string | undefined;
};

/** Typed ESMTP parameters of RCPT. */
export type RcptOptions = {
  /** NOTIFY= (RFC 3461): of what this recipient's sender is told; "NEVER" stands alone. */
  notify?: readonly ("NEVER" | "SUCCESS" | "FAILURE" | "DELAY")[] | undefined;
  /** ORCPT= (RFC 3461): the original recipient, as "rfc822;user@example.com". */
  orcpt?: string | undefined;
};

/** An extension: the options it understands, and the parameters that they become. */
export type Extension = {
  /** The EHLO keyword, in upper case. */
  readonly keyword: string;
  /** The options of MAIL that belong to it. */
  readonly mailOptions?: readonly (keyof MailOptions)[];
  /** The options of RCPT that belong to it. */
  readonly rcptOptions?: readonly (keyof RcptOptions)[];
  /** The parameters of MAIL that these options become, checked. */
  readonly mail?: (options: MailOptions, offered: string) => readonly string[];
  /** The parameters of RCPT that these options become, checked. */
  readonly rcpt?: (options: RcptOptions) => readonly string[];
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
