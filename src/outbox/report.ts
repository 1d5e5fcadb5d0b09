/** Delivery reports (RFC 3464) to the sender about recipients that are given up, built by nodemailer's MimeNode. */
import { quoted } from "../core/bytes.ts";
import { mailDate } from "../core/mail-date.ts";
import { headerOf, type OutboxMessage, untold } from "./message.ts";
import type { StoredReply } from "./stored-reply.ts";

/** How reports look. */
export type ReportOptions = {
  /** The host name of the reporting server, for `Reporting-MTA`. */
  readonly host: string;
  /** The address in From. Default: mailer-daemon at `host`. */
  readonly from?: string | undefined;
};

/** A recipient that is given up, with the reply that did it. */
export type FailedRecipient = readonly [address: string, reply: StoredReply];

/**
 * The failures that the sender is told of: none for a null reverse path, which would make a loop (RFC 5321 4.5.5), and
 * none for a recipient whose NOTIFY leaves out FAILURE (RFC 3461 4.1).
 */
export function reportable(message: OutboxMessage): readonly FailedRecipient[] {
  if (message.from === "") return [];
  return untold(message.state).filter(([address]) => {
    const notify = message.to.find((one) => one.address === address)?.notify;
    return notify === undefined || notify.includes("FAILURE");
  });
}

/**
 * Builds a report.
 * @param original - the message; undefined where it cannot be read any more
 * @throws {Error} if nodemailer is not installed
 */
export async function buildReport(
  message: OutboxMessage,
  failures: readonly FailedRecipient[],
  original: Uint8Array | undefined,
  options: ReportOptions,
): Promise<Uint8Array> {
  const MimeNode = await loadMimeNode();
  const report = new MimeNode("multipart/report; report-type=delivery-status");
  report.setHeader({
    from: `Mail Delivery System <${options.from ?? `mailer-daemon@${options.host}`}>`,
    to: message.from,
    subject: "Undelivered mail returned to sender",
    "auto-submitted": "auto-replied",
    "mime-version": "1.0",
    "in-reply-to": message.messageId,
  });
  report.createChild("text/plain; charset=utf-8").setContent(explanation(message, failures, options));
  const status = report.createChild("message/delivery-status");
  status.setHeader("content-transfer-encoding", "7bit");
  status.setContent(deliveryStatus(message, failures, options));
  if (original !== undefined) {
    const header = report.createChild("text/rfc822-headers; charset=utf-8");
    header.setContent(`${headerOf(original).replace(/\r?\n/g, "\r\n")}\r\n`);
  }
  const built = await report.build();
  return new Uint8Array(built.buffer, built.byteOffset, built.byteLength);
}

type Node = {
  setHeader(fields: Record<string, string> | string, value?: string): unknown;
  setContent(content: string): unknown;
  createChild(type: string): Node;
  build(): Promise<Uint8Array>;
};

/**
 * Loads the builder of reports.
 * @throws {Error} if nodemailer is not installed
 */
export async function loadMimeNode(): Promise<new (type: string) => Node> {
  try {
    const module: { default: new (type: string) => Node } = await import("nodemailer/lib/mime-node/index.js");
    return module.default;
  } catch (cause) {
    throw new Error("smtplib/outbox builds delivery reports by nodemailer's MimeNode: npm install nodemailer", {
      cause,
    });
  }
}

function explanation(message: OutboxMessage, failures: readonly FailedRecipient[], { host }: ReportOptions): string {
  const list = failures.map(([address, { code, text }]) => `<${address}>: ${code} ${oneLine(text)}`);
  return [
    `This is the mail system at ${host}.`,
    "",
    `Your message ${message.messageId} could not be delivered to the following recipients:`,
    "",
    ...list,
    "",
  ].join("\r\n");
}

function deliveryStatus(message: OutboxMessage, failures: readonly FailedRecipient[], { host }: ReportOptions): string {
  const envid = message.options.envid;
  const fields = [
    ...(envid === undefined ? [] : [`Original-Envelope-Id: ${envid}`]),
    `Reporting-MTA: dns; ${host}`,
    `Arrival-Date: ${mailDate(new Date(message.queuedAt))}`,
  ];
  const groups = failures.map((failure) => recipientFields(message, failure).join("\r\n"));
  return [fields.join("\r\n"), ...groups, ""].join("\r\n\r\n");
}

function recipientFields(message: OutboxMessage, [address, { code, text }]: FailedRecipient): string[] {
  const orcpt = message.to.find((one) => one.address === address)?.orcpt;
  const status = /^[45]\.\d{1,3}\.\d{1,3}/.exec(text)?.[0] ?? (code >= 500 ? "5.0.0" : "4.0.0");
  return [
    ...(orcpt === undefined ? [] : [`Original-Recipient: ${oneLine(orcpt)}`]),
    `Final-Recipient: ${isAscii(address) ? "rfc822" : "utf-8"}; ${isAscii(address) ? address : utf8Address(address)}`,
    "Action: failed",
    `Status: ${status}`,
    `Diagnostic-Code: smtp; ${code} ${oneLine(text)}`,
  ];
}

function isAscii(text: string): boolean {
  return /^[\x20-\x7e]*$/.test(text);
}

/** The form that stays ASCII (RFC 6533 3): `\x{…}` for what is not. */
function utf8Address(address: string): string {
  return Array.from(address, (char) =>
    isAscii(char) && char !== "\\" ? char : `\\x{${(char.codePointAt(0) ?? 0).toString(16).toUpperCase()}}`,
  ).join("");
}

/** Text of the server's, in one line of ASCII. */
function oneLine(text: string): string {
  const line = text.replaceAll("\n", " ");
  return isAscii(line) ? line : quoted(line).replace(/[^\x20-\x7e]/g, "?");
}
