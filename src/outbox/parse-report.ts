/** Reads delivery reports (RFC 3464), and what some servers send in their place. */
import { utf8, wrongType } from "../core/bytes.ts";
import {
  decodeCharset,
  decodedBody,
  fieldOf,
  innerParts,
  type MimePart,
  parameterized,
  readPart,
} from "../core/mime.ts";
import { decodeXtext } from "../core/xtext.ts";

/** A delivery report, parsed. */
export type DeliveryReport = {
  /** The ENVID of the message; undefined where none was given or the report does not repeat it. */
  readonly envelopeId: string | undefined;
  /** The Message-ID of the message, in angle brackets, where the report returns its header. */
  readonly messageId: string | undefined;
  readonly recipients: readonly ReportedRecipient[];
};

/** A recipient in a delivery report. */
export type ReportedRecipient = {
  /** The address to which the reporting server tried to deliver. */
  readonly address: string;
  /** The address that the sender gave, where the report repeats it. */
  readonly original: string | undefined;
  readonly action: "failed" | "delayed" | "delivered" | "relayed" | "expanded";
  /** The status code (RFC 3463), as "5.1.1"; undefined where none is found. */
  readonly status: string | undefined;
  /** The server's reply or explanation, in one line. */
  readonly diagnostic: string | undefined;
};

/**
 * Reads a delivery or delay report. It understands `multipart/report`, wherever in a message it stands, and also encoded
 * or nested `message/delivery-status`, reports of Exim without one, and those of qmail (QSBMF).
 * @param message - the whole message
 * @returns undefined, if the message is no report
 * @throws {TypeError} if it is neither a string nor a Uint8Array
 * @example
 * ```ts
 * import { parseReport } from "smtplib/outbox";
 *
 * const report = parseReport("Subject: Hello\r\n\r\nHi!\r\n");
 * for (const { address, action, status } of report?.recipients ?? []) console.log(address, action, status);
 * ```
 */
export function parseReport(message: string | Uint8Array): DeliveryReport | undefined {
  const parts = allParts(readPart(utf8(textOf(message).replace(/\r\n?/g, "\n"))));
  return fromStatus(parts) ?? fromExim(parts) ?? fromQmail(parts);
}

function textOf(message: unknown): string {
  if (typeof message === "string") return message;
  if (message instanceof Uint8Array) return new TextDecoder().decode(message);
  throw wrongType("message", "a string or a Uint8Array", message);
}

/** How deep parts may be nested. */
const DEEPEST = 10;

/** A part and all parts in it, outer parts first. */
function allParts(part: MimePart, depth = 0): MimePart[] {
  const inner = depth < DEEPEST ? innerParts(part) : undefined;
  return [part, ...(inner ?? []).flatMap((one) => allParts(one, depth + 1))];
}

function typeOf(part: MimePart): string {
  return parameterized(fieldOf(part, "content-type") ?? "text/plain").value;
}

function textOfPart(part: MimePart): string {
  return decodeCharset(decodedBody(part)).replace(/\r\n?/g, "\n");
}

/** Reports as RFC 3464 has them, and in the form of RFC 6533. */
function fromStatus(parts: readonly MimePart[]): DeliveryReport | undefined {
  const part = parts.find((one) => /^message\/(?:global-)?delivery-status$/.test(typeOf(one)));
  if (part === undefined) return undefined;
  const groups = textOfPart(part)
    .split(/\n[ \t]*\n/)
    .map((group) => readPart(utf8(group)));
  const recipients = groups.flatMap((group) => recipientOf(group) ?? []);
  if (recipients.length === 0) return undefined;
  const envelopeId = groups
    .map((group) => fieldOf(group, "original-envelope-id")?.trim())
    .find((one) => one !== undefined);
  const report = { envelopeId: envelopeId || undefined, messageId: messageIdOf(parts), recipients };
  return isOfExim(parts) ? withoutXtext(report, below(parts)) : report;
}

/** Exim has its name in the boundary. */
function isOfExim([message]: readonly MimePart[]): boolean {
  return /boundary=\S*-eximdsn-/i.test((message && fieldOf(message, "content-type")) ?? "");
}

/** Exim repeats ENVID and ORCPT in xtext, and states the reason of a local failure only in the text. */
function withoutXtext(
  { envelopeId, messageId, recipients }: DeliveryReport,
  reasons: ReadonlyMap<string, string>,
): DeliveryReport {
  return {
    envelopeId: plain(envelopeId),
    messageId,
    recipients: recipients.map((one) => ({
      ...one,
      original: plain(one.original),
      diagnostic: one.diagnostic ?? reasons.get(one.address),
    })),
  };
}

function plain(xtext: string | undefined): string | undefined {
  try {
    return xtext === undefined ? undefined : decodeXtext(xtext);
  } catch {
    return xtext;
  }
}

const ACTIONS = ["failed", "delayed", "delivered", "relayed", "expanded"] as const;

function recipientOf(group: MimePart): ReportedRecipient | undefined {
  const original = addressOf(fieldOf(group, "original-recipient"));
  // Some reports name the original recipient alone.
  const address = addressOf(fieldOf(group, "final-recipient")) ?? original;
  if (address === undefined) return undefined;
  const status = statusIn(fieldOf(group, "status"));
  const said = fieldOf(group, "action")?.toLowerCase() ?? "";
  const action = ACTIONS.find((one) => said.startsWith(one)) ?? actionOf(status);
  return { address, original, action, status, diagnostic: typed(fieldOf(group, "diagnostic-code")) };
}

/** The address of "rfc822; user@example.com"; some leave out the type, or write angle brackets. */
function addressOf(field: string | undefined): string | undefined {
  const bare = typed(field)
    ?.replace(/^<([^<>]*)>$/, "$1")
    .trim();
  if (bare === undefined || bare === "") return undefined;
  return /^utf-8\s*;/i.test(field ?? "") ? bare.replace(/\\x\{([0-9A-Fa-f]{2,6})\}/g, unescaped) : bare;
}

/** RFC 6533 3: `\x{…}` stands for a character. */
function unescaped(whole: string, digits: string): string {
  const code = Number.parseInt(digits, 16);
  return code > 0x10ffff ? whole : String.fromCodePoint(code);
}

/** A field without its type. */
function typed(field: string | undefined): string | undefined {
  return field
    ?.replace(/^[A-Za-z0-9.-]+\s*;/, "")
    .replace(/\s+/g, " ")
    .trim();
}

function statusIn(text: string | undefined): string | undefined {
  return /(?<![\d.])[245]\.\d{1,3}\.\d{1,3}(?![\d.])/.exec(text ?? "")?.[0];
}

function actionOf(status: string | undefined): ReportedRecipient["action"] {
  if (status?.startsWith("2")) return "delivered";
  return status?.startsWith("4") ? "delayed" : "failed";
}

/** The Message-ID of the header that the report returns, whole or in part. */
function messageIdOf(parts: readonly MimePart[]): string | undefined {
  const returned = parts.find((one) =>
    /^(?:message\/(?:rfc822|global|global-headers)|text\/rfc822-headers)$/.test(typeOf(one)),
  );
  return returned && bracketed(fieldOf(readPart(decodedBody(returned)), "message-id"));
}

function bracketed(field: string | undefined): string | undefined {
  return /<[^<>\s]+>/.exec(field ?? "")?.[0];
}

/** Exim's reports without a status part: the addresses are in a field, what happened is in the text. */
function fromExim(parts: readonly MimePart[]): DeliveryReport | undefined {
  const failed = parts[0] && fieldOf(parts[0], "x-failed-recipients");
  if (failed === undefined) return undefined;
  const reasons = below(parts);
  const recipients = failed
    .split(",")
    .map((one) => one.trim())
    .filter((one) => one !== "")
    .map((address) => failure(address, reasons.get(address) ?? ""));
  return { envelopeId: undefined, messageId: bracketed(fieldIn(plainText(parts), "message-id")), recipients };
}

/** The human-readable text: a part, or the whole message. */
function plainText(parts: readonly MimePart[]): string {
  const part = parts.find((one) => typeOf(one) === "text/plain") ?? parts[0];
  return part === undefined ? "" : textOfPart(part);
}

/** The first line of each paragraph, such as an address, with the lines below it. */
function below(parts: readonly MimePart[]): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  for (const paragraph of plainText(parts).split(/\n[ \t]*\n/)) {
    const lines = paragraph.trim().split("\n");
    const first = lines[0]?.trim() ?? "";
    if (!found.has(first)) found.set(first, oneLine(lines.slice(1)));
  }
  return found;
}

/** qmail's reports (QSBMF): a paragraph a recipient, which begins with its address in angle brackets and a colon. */
function fromQmail(parts: readonly MimePart[]): DeliveryReport | undefined {
  const text = plainText(parts);
  if (!/^\s*Hi\. This is the\b/.test(text)) return undefined;
  const [above = "", copy = ""] = text.split(/^--- /m, 2);
  const recipients = above.split(/\n[ \t]*\n/).flatMap((paragraph) => {
    const [first = "", ...rest] = paragraph.trim().split("\n");
    const address = /^<([^<>]+)>:$/.exec(first.trim())?.[1];
    return address === undefined ? [] : [failure(address, oneLine(rest))];
  });
  if (recipients.length === 0) return undefined;
  return { envelopeId: undefined, messageId: bracketed(fieldIn(copy, "message-id")), recipients };
}

function failure(address: string, diagnostic: string): ReportedRecipient {
  const code = /(?<!\d)([45])\d\d(?!\d)/.exec(diagnostic)?.[1];
  const status = statusIn(diagnostic) ?? (code === undefined ? undefined : `${code}.0.0`);
  return { address, original: undefined, action: "failed", status, diagnostic: diagnostic || undefined };
}

function oneLine(lines: readonly string[]): string {
  return lines
    .map((line) => line.trim())
    .join(" ")
    .trim();
}

function fieldIn(text: string, name: string): string | undefined {
  const line = text.split("\n").find((one) => one.toLowerCase().startsWith(`${name}:`));
  return line?.slice(name.length + 1).trim();
}
