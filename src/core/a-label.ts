/** A-labels: the ASCII form of non-ASCII domain names (UTS 46, RFC 5890 2.3.2.1). */
import { quoted } from "./bytes.ts";
import type { Mailbox } from "./mailbox.ts";

/**
 * The mailbox with its domain as A-labels, which every server accepts; undefined for a non-ASCII local part, which has
 * no ASCII form (RFC 6531 3.2), and for a host that URL does not parse as a domain.
 */
export function aLabel(mailbox: Mailbox): Mailbox | undefined {
  const { localPart, domain } = mailbox;
  if (mailbox.ascii) return mailbox;
  if (domain === undefined || !isAscii(localPart)) return undefined;
  const host = asciiDomain(domain);
  if (host === undefined || host.includes("_") || host.endsWith(".")) return undefined;
  return { path: `${localPart}@${host}`, localPart, domain: host, ascii: true };
}

/**
 * A host name as it is sent: in EHLO, to DNS, and in TLS's SNI. An ASCII name or an IP address is returned unchanged,
 * any other name as A-labels in lower case.
 * @throws {RangeError} naming the argument, if the name has no such form
 */
export function asciiHostName(name: string, argument: string): string {
  if (isAscii(name)) return name;
  const ascii = asciiDomain(name);
  if (ascii !== undefined) return ascii;
  throw new RangeError(`${argument} is not ASCII, and no domain name that has an ASCII form: ${quoted(name)}`);
}

/** True if the text is ASCII. */
export function isAscii(text: string): boolean {
  return !/[^\x00-\x7f]/.test(text);
}

/** The A-labels of a non-ASCII domain. Keeps underscores, which host names may have, but not mail domains. */
function asciiDomain(domain: string): string | undefined {
  if (domain.length > 255 || /[\x00-,/:-@[-^`{-\x7f]/.test(domain)) return undefined;
  const url = `http://${domain}/`;
  const host = URL.canParse(url) ? new URL(url).hostname : "";
  const labels = host.replace(/\.$/, "").split(".");
  if (!labels.every((label) => /^[a-z\d_](?:[a-z\d_-]{0,61}[a-z\d_])?$/.test(label))) return undefined;
  // A last label of digits is part of an IP address; full-width digits become one.
  return /[a-z]/.test(labels.at(-1) ?? "") ? host : undefined;
}
