/** Variable envelope return paths: the reverse path says which recipient of which message a report is about. */
import { checkArgument, wrongType } from "../core/bytes.ts";
import { mailboxIn } from "./mailbox-in.ts";

/** The parts of a variable envelope return path. */
export type Verp = {
  /** The address that reports go to, as it was given. */
  readonly base: string;
  /** The recipient. */
  readonly recipient: string;
  /** The text that identifies the message. */
  readonly id: string | undefined;
};

/**
 * Makes a reverse path for one recipient: `bounces+id+user=example.net@example.com`. Servers such as Postfix and Exim
 * deliver what stands behind the first "+" to `bounces`.
 * @param base - the address that reports go to
 * @param id - finds the message again: ASCII letters, digits, "-", "_" and "."
 * @throws {TypeError} or {RangeError} if an argument is no such address or id, or the local part gets longer than 64
 * octets with an ASCII recipient of less (RFC 5321 4.5.3.1.1)
 * @example
 * ```ts
 * import { parseVerp, verp } from "smtplib/outbox";
 *
 * const from = verp("bounces@example.com", "charles@example.net", "17");
 * console.log(from, parseVerp(from)?.recipient); // bounces+17+charles=example.net@example.com charles@example.net
 * ```
 */
export function verp(base: string, recipient: string, id?: string): string {
  const [local, domain] = parts(base, "base");
  const [user, host] = parts(recipient, "recipient");
  if (local.includes("+")) throw new RangeError('base must have no "+"');
  if (host.startsWith("[")) throw new RangeError("recipient must have a domain name, not an IP address");
  if (id !== undefined && (typeof id !== "string" || !/^[A-Za-z0-9._-]+$/.test(id))) {
    throw new RangeError('id must be of letters, digits, "-", "_" and "."');
  }
  const made = [local, ...(id === undefined ? [] : [id]), `${escaped(user)}=${host}`].join("+");
  if (new TextEncoder().encode(made).length > 64) {
    throw new RangeError(`the local part ${JSON.stringify(made)} has more than 64 octets`);
  }
  return `${made}@${domain}`;
}

/**
 * Reads a reverse path that `verp()` made: the recipient of a report's own envelope. It may stand in angle brackets.
 * @returns undefined, if it is none
 */
export function parseVerp(address: string): Verp | undefined {
  if (typeof address !== "string") throw wrongType("address", "a string", address);
  const { localPart = "", domain } = mailboxIn(address) ?? {};
  const found = /^([^+]+)\+(?:([A-Za-z0-9._-]+)\+)?([^+]+)=([^=+]+)$/.exec(localPart);
  if (found === null || domain === undefined) return undefined;
  const [, local, id, user = "", host] = found;
  return { base: `${local}@${domain}`, recipient: `${unescaped(user)}@${host}`, id };
}

/** Characters that a local part or a domain name cannot have without quotes (RFC 5322 3.2.3). */
const SPECIAL = /[\s"(),:;<>@[\\\]]/;

function parts(address: string, argument: string): [local: string, domain: string] {
  const at = checkArgument(address, argument).lastIndexOf("@");
  const [local, domain] = [address.slice(0, at), address.slice(at + 1)];
  const isLiteral = /^\[[^\s"(),;<>@[\\\]]+\]$/.test(domain);
  if (at < 1 || SPECIAL.test(local) || (!isLiteral && (domain === "" || SPECIAL.test(domain) || /[=+]/.test(domain)))) {
    throw new RangeError(`${argument} must be an address without quotes`);
  }
  return [local, domain];
}

/** "+" and "=" part the pieces; by "%" and "!" some servers route mail elsewhere. */
function escaped(local: string): string {
  return local.replace(/[+=%!]/g, (char) => `=${char.charCodeAt(0).toString(16).toUpperCase()}`);
}

/** Servers on the way may have made the digits lower case. */
function unescaped(local: string): string {
  return local.replace(/=(2B|3D|25|21)/gi, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 16)));
}
