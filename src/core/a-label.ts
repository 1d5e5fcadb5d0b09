/** Mailboxes that are not ASCII, for servers that take no others. */
import type { Mailbox } from "./mailbox.ts";

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
  if (!ldh || !/[a-z]/.test(labels.at(-1) ?? "")) return undefined;
  return { path: `${localPart}@${host}`, localPart, domain: host, ascii: true };
}

/** True if the text is all ASCII. */
export function isAscii(text: string): boolean {
  return !/[^\x00-\x7f]/.test(text);
}
