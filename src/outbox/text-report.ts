/** Reads reports without a status part, whose facts stand in header fields or in words: Exim, Gmail, Exchange, qmail. */
import { isPlainPath } from "../core/mailbox.ts";
import { fieldOf } from "../core/mime.ts";
import type { DeliveryReport, ReportedRecipient } from "./parse-report.ts";
import { addressesIn, repliedStatus } from "./report-fields.ts";
import {
  answeredId,
  fieldsOf,
  idIn,
  oneLine,
  partsIn,
  plainText,
  type ReportPart,
  returnedId,
} from "./report-parts.ts";

/** The human-readable text: the lines of the report itself, and the copy of the message below them, if there is one. */
type Notice = { readonly above: readonly string[]; readonly copy: string };

/** The line above the copy of a message. */
const COPY = /^(?:-{3,} ?[^\s-]|Original message headers:)/;

function noticeIn(message: ReportPart): Notice {
  const text = plainText(message);
  const lines = text.split("\n");
  const at = lines.findIndex((line) => COPY.test(line));
  // Without such a line the copy may be anywhere.
  return at < 0 ? { above: lines, copy: text } : { above: lines.slice(0, at), copy: lines.slice(at + 1).join("\n") };
}

/** The Message-ID in the header of a message that is copied into a text. */
export function copiedId(copy: string): string | undefined {
  return idIn(/^message-id[ \t]*:(.*)$/im.exec(copy.replace(/\n(?=[ \t])/g, ""))?.[1]);
}

/** Reports of Exim and Gmail without a status part: the addresses are in a field, what happened is in the text. */
export function fromFailedRecipients(message: ReportPart): DeliveryReport | undefined {
  const addresses = fieldsOf(message.part, "x-failed-recipients").flatMap(addressesIn);
  if (addresses.length === 0) return undefined;
  const reasons = reasonsIn(message, new Set(addresses));
  return reportOf(
    message,
    addresses.map((address) => recipientOf(address, "failed", reasons.get(address))),
  );
}

/** qmail's reports (QSBMF): below an address in angle brackets with a colon stands what happened. */
export function fromQmail(message: ReportPart): DeliveryReport | undefined {
  const { above } = noticeIn(message);
  if (!/^\s*Hi\. This is the\b/.test(above.join("\n"))) return undefined;
  const reasons = paragraphsIn(above, (line) => /^<([^<>]+)>:$/.exec(line.trim())?.[1]);
  return reportOf(
    message,
    [...reasons].map(([address, reason]) => recipientOf(address, "failed", reason)),
  );
}

/** The lines above the addresses in notices that have them nowhere else, with what became of the addresses. */
const LISTS: readonly (readonly [above: RegExp, action: "failed" | "delayed"])[] = [
  [/not yet been delivered (?:is|are):\s*$/, "delayed"],
  [/^Delivery to the following recipients? (?:has|have) been delayed/, "delayed"],
  [/^Delivery to the following recipients? failed permanently/, "failed"],
  [/^Delivery is delayed to these recipients or groups:/, "delayed"],
  [/^Diagnostic information for administrators:/, "failed"],
];

/** Warnings of Exim and Gmail, and notices of Exchange whose status part was lost. */
export function fromNotice(message: ReportPart): DeliveryReport | undefined {
  if (!isAutomatic(message)) return undefined;
  const { above } = noticeIn(message);
  for (const [begin, action] of LISTS) {
    const at = above.findIndex((line) => begin.test(line));
    const reasons = at < 0 ? [] : [...paragraphsIn(listed(above.slice(at + 1)), plainAddress)];
    const report = reportOf(
      message,
      reasons.map(([address, reason]) => recipientOf(address, action, reason || detailsIn(above))),
    );
    if (report !== undefined) return report;
  }
  return undefined;
}

/** Whether a mail system made the message: anybody's text may quote a notice. */
export function isAutomatic({ part }: ReportPart): boolean {
  return (
    /mailer-daemon|postmaster|mail delivery/i.test(fieldOf(part, "from") ?? "") ||
    fieldOf(part, "return-path")?.trim() === "<>"
  );
}

/** The lines up to the end of a list: the first paragraph below an address that has none. */
function listed(lines: readonly string[]): readonly string[] {
  const begin = lines.findIndex((line) => plainAddress(line) !== undefined);
  const end = lines.findIndex(
    (line, at) => at > begin && line.trim() !== "" && lines[at - 1]?.trim() === "" && plainAddress(line) === undefined,
  );
  return begin < 0 ? [] : lines.slice(begin, end < 0 ? lines.length : end);
}

function plainAddress(line: string): string | undefined {
  const bare = bareLine(line);
  return isPlainPath(bare) ? bare : undefined;
}

/** A line without what may be around an address: a bullet, angle brackets, a colon, a link. */
function bareLine(line: string): string {
  return line
    .trim()
    .replace(/^[*•] +/, "")
    .replace(/<mailto:[^<>]*>$/, "")
    .replace(/:$/, "")
    .replace(/^<([^<>]*)>$/, "$1");
}

/** The explanations in the human-readable text: below each address, or, in Gmail's texts, below all of them. */
export function reasonsIn(message: ReportPart, addresses: ReadonlySet<string>): ReadonlyMap<string, string> {
  const { above } = noticeIn(message);
  const found = paragraphsIn(above, (line) => {
    const bare = bareLine(line);
    return addresses.has(bare) ? bare : undefined;
  });
  const shared = detailsIn(above);
  return new Map([...addresses].map((address) => [address, found.get(address) || shared]));
}

/** The lines below each address, up to a blank line or the next address, as one line. */
function paragraphsIn(
  lines: readonly string[],
  addressIn: (line: string) => string | undefined,
): ReadonlyMap<string, string> {
  const found = new Map<string, string[]>();
  let current: string[] = [];
  for (const line of lines) {
    const address = addressIn(line);
    if (address !== undefined) current = [];
    if (address !== undefined && !found.has(address)) found.set(address, current);
    if (line.trim() === "") current = [];
    else if (address === undefined) current.push(line);
  }
  return new Map([...found].map(([address, below]) => [address, oneLine(below.join(" "))]));
}

/** Gmail's explanation, for all recipients. */
function detailsIn(lines: readonly string[]): string {
  const at = lines.findIndex((line) => /^(?:Technical details of |The response (?:from .* )?was:)/.test(line));
  return at < 0 ? "" : oneLine(lines.slice(at + 1).join(" "));
}

function recipientOf(address: string, action: "failed" | "delayed", reason: string | undefined): ReportedRecipient {
  return withReason({ address, original: undefined, action, status: undefined, diagnostic: undefined }, reason);
}

/** A recipient with the reason. Exim names the address from which an alias or a forward led to this one. */
export function withReason(recipient: ReportedRecipient, text = ""): ReportedRecipient {
  const [origin = "", from] = /^\((?:ultimately )?generated from ([^\s()]+)\) ?/.exec(text) ?? [];
  // Sendmail writes "(reason: …)".
  const diagnostic = text.slice(origin.length).replace(/^\(reason: (.*)\)$/, "$1") || undefined;
  return {
    ...recipient,
    original: recipient.original ?? from,
    status: recipient.status ?? repliedStatus(diagnostic ?? ""),
    diagnostic,
  };
}

function reportOf(message: ReportPart, recipients: readonly ReportedRecipient[]): DeliveryReport | undefined {
  if (recipients.length === 0) return undefined;
  const messageId = returnedId(partsIn(message)) ?? copiedId(noticeIn(message).copy) ?? answeredId(message);
  return { envelopeId: undefined, messageId, recipients };
}
