/** ENHANCEDSTATUSCODES: codes like 5.1.1 in replies (RFC 2034), and their meanings (RFC 3463, RFC 5248). */
import type { Extension } from "./extension.ts";

export const enhancedStatusCodes: Extension = { keyword: "ENHANCEDSTATUSCODES", rfc: "2034" };

/**
 * The meaning of an enhanced status code in the registry's words: "5.1.1" is "Permanent failure: Bad destination
 * mailbox address". Describes an unregistered code by its class and subject; undefined if the text is no such code.
 */
export function describeStatus(code: string): string | undefined {
  const [, kind = "", subject = "", detail = ""] = /^([245])\.(\d{1,3})\.(\d{1,3})$/.exec(code) ?? [];
  const meaning = MEANINGS[Number(subject)]?.[Number(detail)] ?? `unregistered code ${code}, ${subjectOf(subject)}`;
  return kind === "" ? undefined : `${CLASSES[kind]}: ${meaning}`;
}

function subjectOf(subject: string): string {
  return SUBJECTS[Number(subject)] ?? "of an unregistered subject";
}

/** RFC 3463 2. */
const CLASSES: { readonly [digit: string]: string } = {
  2: "Success",
  4: "Persistent transient failure",
  5: "Permanent failure",
};

/** RFC 3463 3. */
const SUBJECTS: readonly string[] = [
  "of another or undefined kind",
  "about addressing",
  "about the mailbox",
  "about the mail system",
  "about the network or routing",
  "about mail delivery protocols",
  "about the message's content or media",
  "about security or policy",
];

/** The registry: subject -> detail -> meaning. */
const MEANINGS: readonly (readonly string[])[] = [
  ["Other undefined status"],
  [
    "Other address status",
    "Bad destination mailbox address",
    "Bad destination system address",
    "Bad destination mailbox address syntax",
    "Destination mailbox address ambiguous",
    "Destination address valid",
    "Destination mailbox has moved, no forwarding address",
    "Bad sender's mailbox address syntax",
    "Bad sender's system address",
    "Message relayed to non-compliant mailer",
    "Recipient address has null MX",
  ],
  [
    "Other or undefined mailbox status",
    "Mailbox disabled, not accepting messages",
    "Mailbox full",
    "Message length exceeds administrative limit",
    "Mailing list expansion problem",
  ],
  [
    "Other or undefined mail system status",
    "Mail system full",
    "System not accepting network messages",
    "System not capable of selected features",
    "Message too big for system",
    "System incorrectly configured",
    "Requested priority was changed",
  ],
  [
    "Other or undefined network or routing status",
    "No answer from host",
    "Bad connection",
    "Directory server failure",
    "Unable to route",
    "Mail system congestion",
    "Routing loop detected",
    "Delivery time expired",
  ],
  [
    "Other or undefined protocol status",
    "Invalid command",
    "Syntax error",
    "Too many recipients",
    "Invalid command arguments",
    "Wrong protocol version",
    "Authentication exchange line is too long",
  ],
  [
    "Other or undefined media error",
    "Media not supported",
    "Conversion required and prohibited",
    "Conversion required but not supported",
    "Conversion with loss performed",
    "Conversion failed",
    "Message content not available",
    "Non-ASCII addresses not permitted for that sender/recipient",
    "UTF-8 string reply is required, but not permitted by the SMTP client",
    "UTF-8 header message cannot be transferred to one or more recipients, so the message must be rejected",
    "UTF-8 string reply is required, but not permitted by the SMTP client",
  ],
  [
    "Other or undefined security status",
    "Delivery not authorized, message refused",
    "Mailing list expansion prohibited",
    "Security conversion required but not possible",
    "Security features not supported",
    "Cryptographic failure",
    "Cryptographic algorithm not supported",
    "Message integrity failure",
    "Authentication credentials invalid",
    "Authentication mechanism is too weak",
    "Encryption needed",
    "Encryption required for requested authentication mechanism",
    "A password transition is needed",
    "User account disabled",
    "Trust relationship required",
    "Priority level is too low",
    "Message is too big for the specified priority",
    "Mailbox owner has changed",
    "Domain owner has changed",
    "RRVS test cannot be completed",
    "No passing DKIM signature found",
    "No acceptable DKIM signature found",
    "No valid author-matched DKIM signature found",
    "SPF validation failed",
    "SPF validation error",
    "Reverse DNS validation failed",
    "Multiple authentication checks failed",
    "Sender address has null MX",
    "Mail flood detected",
    "ARC validation failure",
    "REQUIRETLS support required",
  ],
];
