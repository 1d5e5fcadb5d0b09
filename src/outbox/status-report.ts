/** Reports as RFC 3464 has them, and in the form of RFC 6533. */
import { utf8 } from "../core/bytes.ts";
import { fieldOf, type MimePart, parameterized, readPart } from "../core/mime.ts";
import { decodeXtext } from "../core/xtext.ts";
import type { DeliveryReport, ReportedRecipient } from "./parse-report.ts";
import { actionOf, addressOf, diagnosticOf, repliedStatus, statusIn, supplementOf } from "./report-fields.ts";
import { answeredId, fieldsOf, idIn, partsIn, plainText, type ReportPart, returnedId, textOf } from "./report-parts.ts";
import { copiedId, isAutomatic, reasonsIn, withReason } from "./text-report.ts";

/** Reads the first report in a message: a `multipart/report`, or a status part anywhere else. */
export function fromStatus(message: ReportPart): DeliveryReport | undefined {
  const parts = partsIn(message);
  for (const one of [...parts.filter(({ type }) => type === "multipart/report"), message]) {
    const report = reportIn(partsIn(one), message);
    if (report !== undefined) return report;
  }
  return undefined;
}

function reportIn(parts: readonly ReportPart[], message: ReportPart): DeliveryReport | undefined {
  const groups = parts.flatMap((one) => (STATUS.test(one.type) ? groupsIn(textOf(one)) : []));
  return reportOf(groups, message, returnedId(parts));
}

/** Reads the fields of a report that a gateway or a mailing list has made one text of. */
export function fromFlattened(message: ReportPart): DeliveryReport | undefined {
  if (!isAutomatic(message)) return undefined;
  const text = plainText(message);
  const last = [...text.matchAll(/^final-recipient[ \t]*:/gim)].at(-1)?.index;
  if (last === undefined) return undefined;
  const end = text.slice(last).search(/\n[ \t]*\n/);
  const below = end < 0 ? text.length : last + end;
  const returned = returnedId(partsIn(message)) ?? copiedId(text.slice(below));
  return reportOf(groupsIn(text.slice(0, below)), message, returned);
}

function reportOf(
  groups: readonly MimePart[],
  message: ReportPart,
  returned: string | undefined,
): DeliveryReport | undefined {
  const found = groups.flatMap((group) => recipientOf(group) ?? []);
  if (found.length === 0) return undefined;
  const envelopeId = first(groups, "original-envelope-id", (value) => value.trim() || undefined);
  const messageId = returned ?? first(groups, "x-original-message-id", idIn) ?? answeredId(message);
  const report = { envelopeId, messageId, recipients: explained(found, message) };
  return partsIn(message).some(isOfExim) ? withoutXtext(report) : report;
}

const STATUS = /^message\/(?:global-)?delivery-status$/;

/** The groups of fields, with any number of blank lines between them. */
function groupsIn(text: string): MimePart[] {
  const groups: string[][] = [];
  let ended = true;
  for (const line of text.split("\n")) {
    const blank = line.trim() === "";
    // A blank line within a folded field ends nothing.
    if (!blank && ended && !(/^[ \t]/.test(line) && groups.length > 0)) groups.push([]);
    if (!blank) groups.at(-1)?.push(line);
    ended = blank;
  }
  return groups.map((lines) => readPart(utf8(lines.join("\n"))));
}

/** The first value of a field, in any group, that can be read. */
function first(
  groups: readonly MimePart[],
  name: string,
  read: (value: string) => string | undefined,
): string | undefined {
  for (const group of groups) {
    for (const value of fieldsOf(group, name)) {
      const found = read(value);
      if (found !== undefined) return found;
    }
  }
  return undefined;
}

function recipientOf(group: MimePart): ReportedRecipient | undefined {
  const original = first([group], "original-recipient", addressOf);
  // Some reports name the original recipient alone, or the mailbox behind it.
  const address =
    first([group], "final-recipient", addressOf) ?? original ?? first([group], "x-actual-recipient", addressOf);
  if (address === undefined) return undefined;
  const diagnostic =
    first([group], "diagnostic-code", diagnosticOf) ?? first([group], "x-supplementary-info", supplementOf);
  const status = first([group], "status", statusIn) ?? repliedStatus(diagnostic ?? "");
  const action = actionOf(fieldOf(group, "action") ?? "", status);
  return { address, original, action, status, diagnostic };
}

/** Takes what a status part does not explain out of the human-readable text. */
function explained(recipients: readonly ReportedRecipient[], message: ReportPart): readonly ReportedRecipient[] {
  if (recipients.every(({ diagnostic }) => diagnostic !== undefined)) return recipients;
  const reasons = reasonsIn(message, new Set(recipients.map(({ address }) => address)));
  return recipients.map((one) => (one.diagnostic === undefined ? withReason(one, reasons.get(one.address)) : one));
}

/** Exim has its name in the boundary. */
function isOfExim({ part }: ReportPart): boolean {
  const { parameters } = parameterized(fieldOf(part, "content-type") ?? "");
  return parameters.get("boundary")?.includes("-eximdsn-") ?? false;
}

/** Exim repeats ENVID and ORCPT in xtext. */
function withoutXtext({ envelopeId, messageId, recipients }: DeliveryReport): DeliveryReport {
  return {
    envelopeId: plain(envelopeId),
    messageId,
    recipients: recipients.map((one) => ({ ...one, original: plain(one.original) })),
  };
}

function plain(xtext: string | undefined): string | undefined {
  try {
    return xtext === undefined ? undefined : decodeXtext(xtext);
  } catch {
    return xtext;
  }
}
