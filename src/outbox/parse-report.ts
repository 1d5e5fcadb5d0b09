/** Reads delivery reports (RFC 3464), and what some servers send in their place. */
import { wrongType } from "../core/bytes.ts";
import { openEmbedded, openMessage, type ReportPart } from "./report-parts.ts";
import { fromFlattened, fromStatus } from "./status-report.ts";
import { fromFailedRecipients, fromNotice, fromQmail } from "./text-report.ts";

/** A delivery report, parsed. */
export type DeliveryReport = {
  /** The ENVID of the message; undefined where none was given or the report does not repeat it. */
  readonly envelopeId: string | undefined;
  /** The Message-ID of the message, in angle brackets, where the report returns its header or answers to it. */
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
 * Reads a delivery or delay report. It understands `multipart/report`, wherever in a message it stands, also in a
 * message that is forwarded as an attachment, encoded or nested `message/delivery-status`, reports of Exim, Gmail and
 * Exchange without one, and those of qmail (QSBMF). Of several reports it reads the first; of a message of more than
 * 1 MiB, the beginning.
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
  if (typeof message !== "string" && !(message instanceof Uint8Array)) {
    throw wrongType("message", "a string or a Uint8Array", message);
  }
  return reportIn(openMessage(message));
}

function reportIn(message: ReportPart): DeliveryReport | undefined {
  return (
    fromStatus(message) ??
    fromFailedRecipients(message) ??
    fromQmail(message) ??
    fromFlattened(message) ??
    fromNotice(message) ??
    forwarded(message)
  );
}

/** The report in a message that is part of this one. What a report returns is no report: nothing was said of it. */
function forwarded(part: ReportPart): DeliveryReport | undefined {
  if (part.type === "multipart/report") return undefined;
  const message = openEmbedded(part);
  if (message !== undefined) return reportIn(message);
  for (const one of part.inner) {
    const report = forwarded(one);
    if (report !== undefined) return report;
  }
  return undefined;
}
