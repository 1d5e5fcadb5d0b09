/** Delivery reports (RFC 3464) to the sender about recipients that are given up, built by nodemailer's MimeNode. */
import { asciiHostName } from "../core/a-label.ts";
import { parseMailbox } from "../core/address.ts";
import { checkArgument, quoted } from "../core/bytes.ts";
import { mailDate } from "../core/mail-date.ts";
import { mailboxIn } from "./mailbox-in.ts";
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
  if (!pathOf(message.from)) return [];
  const recipients = new Map(message.to.map((one) => [one.address, one]));
  return untold(message.state).filter(([address]) => {
    const notify = recipients.get(address)?.notify;
    return notify === undefined || notify.includes("FAILURE");
  });
}

/** The address alone: an envelope may also have it in angle brackets, or with a name. "" for the null path. */
function pathOf(address: string): string | undefined {
  return mailboxIn(address)?.path;
}

const LABEL = "[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?";
const HOST = new RegExp(`^(?:${LABEL}(?:\\.${LABEL})*|\\[[A-Za-z0-9:.]+\\])$`);

/**
 * The host name as reports have it: in ASCII.
 * @throws {TypeError} or {RangeError} if it is neither a host name nor an IP address in brackets
 */
export function reportHost({ host }: ReportOptions): string {
  const name = asciiHostName(checkArgument(host, "options.report.host"), "options.report.host");
  if (name.length < 254 && HOST.test(name)) return name;
  throw new RangeError(`options.report.host must be a host name: ${quoted(host)}`);
}

/**
 * The address in From.
 * @throws {TypeError} or {RangeError} if it is no address
 */
export function reportSender(options: ReportOptions): string {
  const { path, domain } = parseMailbox(options.from ?? `mailer-daemon@${reportHost(options)}`, "options.report.from");
  if (domain !== undefined) return path;
  throw new RangeError(`options.report.from must be an address with a domain: ${quoted(options.from)}`);
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
    from: `Mail Delivery System <${reportSender(options)}>`,
    to: pathOf(message.from) ?? message.from,
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

function explanation(message: OutboxMessage, failures: readonly FailedRecipient[], options: ReportOptions): string {
  const list = failures.map(
    ([address, { code, text }]) => `<${pathOf(address) ?? oneLine(address)}>: ${code} ${oneLine(text)}`,
  );
  return [
    `This is the mail system at ${reportHost(options)}.`,
    "",
    `Your message ${message.messageId} could not be delivered to the following recipients:`,
    "",
    ...list,
    "",
  ].join("\r\n");
}

function deliveryStatus(message: OutboxMessage, failures: readonly FailedRecipient[], options: ReportOptions): string {
  const envid = message.options.envid;
  const fields = [
    ...(envid === undefined ? [] : [`Original-Envelope-Id: ${envid}`]),
    `Reporting-MTA: dns; ${reportHost(options)}`,
    `Arrival-Date: ${mailDate(new Date(message.queuedAt))}`,
  ];
  const originals = new Map(message.to.map(({ address, orcpt }) => [address, orcpt]));
  const groups = failures.map((failure) => recipientFields(failure, originals.get(failure[0])).join("\r\n"));
  return [fields.join("\r\n"), ...groups, ""].join("\r\n\r\n");
}

function recipientFields([address, { code, text }]: FailedRecipient, orcpt: string | undefined): string[] {
  const path = pathOf(address) ?? oneLine(address);
  const status = /^[45]\.\d{1,3}\.\d{1,3}/.exec(text)?.[0] ?? (code >= 500 ? "5.0.0" : "4.0.0");
  return [
    ...(orcpt === undefined ? [] : [`Original-Recipient: ${asciiAddress(orcpt)}`]),
    `Final-Recipient: ${isAscii(path) ? "rfc822" : "utf-8"}; ${asciiAddress(path)}`,
    "Action: failed",
    `Status: ${status}`,
    `Diagnostic-Code: smtp; ${code} ${oneLine(text)}`,
  ];
}

function isAscii(text: string): boolean {
  return /^[\x20-\x7e]*$/.test(text);
}

/** The form that stays ASCII (RFC 6533 3): `\x{…}` for what is not. */
function asciiAddress(address: string): string {
  if (isAscii(address)) return address;
  return Array.from(address, (char) =>
    isAscii(char) && char !== "\\" ? char : `\\x{${(char.codePointAt(0) ?? 0).toString(16).toUpperCase()}}`,
  ).join("");
}

/** Text of the server's, in one line of ASCII. */
function oneLine(text: string): string {
  const line = text.replaceAll("\n", " ");
  return isAscii(line) ? line : quoted(line).replace(/[^\x20-\x7e]/g, "?");
}
