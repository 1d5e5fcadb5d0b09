/** Envelope addresses: what the caller gave becomes a path for MAIL and RCPT, or is refused before a byte is sent. */
import { isAscii, type Mailbox, makeMailbox, scanAddresses } from "./address-list.ts";
import { checkArgument } from "./bytes.ts";

export type { Mailbox } from "./address-list.ts";

/** What nearly all addresses look like; they need no scan. */
const PLAIN = /^([\w!#$%&'*+\-./=?^`{|}~]+)@([\w.-]+)$/;

/**
 * Reads an envelope address as `sendmail`, `mail` and `rcpt` take it: `a@b`, `<a@b>`, `Name <a@b>`, `a@b (comment)`,
 * `postmaster`; `<>` and "" are the null path. The local part goes out as it was given; a source route is dropped.
 * @throws {TypeError} if it is no string primitive or has a lone surrogate
 * @throws {RangeError} if it holds a control character, or is not clearly one address (RFC 5321 4.1.2)
 */
export function parseMailbox(text: unknown, argument: string): Mailbox {
  const checked = checkArgument(text, argument);
  const plain = PLAIN.exec(checked);
  if (plain?.[1] !== undefined && plain[2] !== undefined) {
    return { path: checked, localPart: plain[1], domain: plain[2], ascii: true };
  }
  if (checked === "") return makeMailbox("");
  const fail = (reason: string): never => {
    throw new RangeError(
      `${argument} must be one address, like "Name <a@example.com>", but has ${reason}: ${excerpt(checked)}`,
    );
  };
  const [mailbox] = scanAddresses(checked, "one", fail);
  return mailbox ?? fail("no address");
}

/** The start of a text, as it may stand in an error message. */
export function excerpt(text: string): string {
  return JSON.stringify(text.length > 200 ? `${text.slice(0, 200)}…` : text);
}

/**
 * The mailbox with its domain as A-labels (UTS 46), for servers without SMTPUTF8; undefined if that cannot be: a local
 * part has no ASCII form (RFC 6531 3.2), and a host that URL reads as something else than a domain is none.
 */
export function aLabel(mailbox: Mailbox): Mailbox | undefined {
  const { localPart, domain } = mailbox;
  if (mailbox.ascii) return mailbox;
  if (domain === undefined || domain.length > 255 || !isAscii(localPart)) return undefined;
  if (/[\x00-,/:-@[-`{-\x7f]/.test(domain)) return undefined;
  const url = `http://${domain}/`;
  const host = URL.canParse(url) ? new URL(url).hostname : "";
  const labels = host.split(".");
  const ldh = labels.every((label) => /^[a-z\d](?:[a-z\d-]{0,61}[a-z\d])?$/.test(label));
  return ldh && /[a-z]/.test(labels.at(-1) ?? "") ? makeMailbox(localPart, host) : undefined;
}

/**
 * Python's `smtplib.quoteaddr`: the address in angle brackets. What cannot be parsed comes back as it is if it begins
 * with `<`, else in angle brackets; the methods that send refuse it.
 * @throws {TypeError} if it is no string primitive or has a lone surrogate
 * @throws {RangeError} if it holds a control character
 */
export function quoteaddr(addrstring: string): string {
  const text = checkArgument(addrstring, "addrstring");
  try {
    return `<${parseMailbox(text, "addrstring").path}>`;
  } catch {
    return text.trimStart().startsWith("<") ? text : `<${text}>`;
  }
}
