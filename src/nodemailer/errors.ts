/** Adds nodemailer's fields to exceptions: `code`, `command`, `response`, `responseCode`, `rejected`. */
import { failedLookup } from "../core/connect-failure.ts";
import { HiddenEndError } from "../core/hidden-end.ts";
import { refusedCommand, refusesContent } from "../core/refused-command.ts";
import type { Reply } from "../core/reply.ts";
import {
  SMTPAuthenticationError,
  SMTPConnectError,
  SMTPDataError,
  SMTPException,
  SMTPHeloError,
  SMTPNotSupportedError,
  SMTPRecipientsRefused,
  SMTPResponseException,
  SMTPSenderRefused,
  SMTPServerDisconnected,
  SMTPTimeoutError,
  type TimeoutPhase,
  TlsError,
} from "../errors.ts";

/** Those of nodemailer's codes that occur here. */
export type ErrorCode =
  | "EABORT"
  | "EAUTH"
  | "ECONFIG"
  | "ECONNECTION"
  | "EDNS"
  | "EENVELOPE"
  | "EMAXLIMIT"
  | "EMESSAGE"
  | "EPROTOCOL"
  | "EREQUIRETLS"
  | "ESOCKET"
  | "ESTREAM"
  | "ETIMEDOUT"
  | "ETLS";

/** The fields that nodemailer adds to an error. */
export type ErrorFields = {
  /** nodemailer's code of the failure. */
  code: ErrorCode;
  /** The command that failed; "CONN" for the connection, "API" for none. */
  command?: string | undefined;
  /** The server's reply, with its code. */
  response?: string | undefined;
  /** The code of the reply. */
  responseCode?: number | undefined;
  /** Whether the same message would be refused again, if there is a reply. */
  permanent?: boolean | undefined;
  /** The code of the underlying error, such as ECONNREFUSED. */
  originalCode?: string | undefined;
  /** The timeout that expired. */
  timeoutType?: "CONNECT_TIMEOUT" | "GREETING_TIMEOUT" | "UPGRADE_TIMEOUT" | "SOCKET_TIMEOUT" | undefined;
  /** The refused recipient. */
  recipient?: string | undefined;
  /** The recipients, if all were refused. */
  rejected?: string[] | undefined;
  /** An error for each of them. */
  rejectedErrors?: NodemailerError[] | undefined;
};

/** An error with nodemailer's fields. Most are also `SMTPException`s. */
export type NodemailerError = Error & ErrorFields;

/** An error of the envelope, found before anything was sent. */
export function envelopeError(message: string, command: string): NodemailerError {
  return Object.assign(new Error(message), { code: "EENVELOPE" as const, command });
}

/** nodemailer's error of an aborted mail. */
export function abortError(reason: unknown): NodemailerError {
  const error = new Error("Message sending aborted", { cause: reason });
  return Object.assign(error, { name: "AbortError", code: "EABORT" as const });
}

/** An error for a recipient that was refused while others were accepted. */
export function recipientError(recipient: string, reply: Reply): NodemailerError {
  const { code, command } = refusalOf(reply);
  const text = code === "EMESSAGE" ? `Message failed for recipient ${recipient}` : "Recipient command failed";
  return Object.assign(new Error(`${text}: ${responseOf(reply)}`), { code, command, recipient }, replyFields(reply));
}

/**
 * The step of a transaction at which a recipient was refused: RCPT, or in LMTP the reply to the content, one for each.
 */
function refusalOf(reply: Reply | undefined): { code: "EENVELOPE" | "EMESSAGE"; command: string } {
  return refusesContent(reply) ? { code: "EMESSAGE", command: "DATA" } : { code: "EENVELOPE", command: "RCPT TO" };
}

/** A reply in nodemailer's form: each line with the code. */
export function responseOf(reply: Reply): string {
  const { code, lines } = reply;
  return lines.map((line, index) => `${code}${index + 1 < lines.length ? "-" : " "}${line}`).join("\n");
}

/** Adds nodemailer's fields to an error. */
export function asNodemailerError(error: unknown, tokenFailures: WeakSet<object>): NodemailerError {
  if (error instanceof Error && hasCauseIn(error, tokenFailures)) {
    return Object.assign(error, { code: "EAUTH" as const, command: "API" });
  }
  if (error instanceof SMTPException) return Object.assign(error, fieldsOf(error));
  if (error instanceof TypeError || error instanceof RangeError) {
    return Object.assign(error, { code: "EENVELOPE" as const, command: "API" });
  }
  const wrapped = error instanceof Error ? error.message : String(error);
  return Object.assign(new Error(wrapped, { cause: error }), { code: "ECONNECTION" as const, command: "CONN" });
}

/** Adds nodemailer's fields to an error about the options. */
export function asOptionError(error: unknown): unknown {
  if (!(error instanceof TypeError || error instanceof RangeError)) return error;
  const code = error.message.startsWith("auth") ? ("EAUTH" as const) : ("ECONFIG" as const);
  return Object.assign(error, { code, command: "API" });
}

function hasCauseIn(error: Error, known: WeakSet<object>): boolean {
  return known.has(error) || (error.cause instanceof Error && hasCauseIn(error.cause, known));
}

function fieldsOf(error: SMTPException): ErrorFields {
  if (error instanceof SMTPRecipientsRefused) return refusedFields(error);
  if (error instanceof SMTPConnectError) return connectFields(error);
  if (error instanceof SMTPResponseException) return { ...verdictOf(error), ...replyFields(error.reply) };
  if (error instanceof SMTPTimeoutError) {
    return { code: "ETIMEDOUT", command: "CONN", timeoutType: TIMEOUTS[error.phase] ?? "SOCKET_TIMEOUT" };
  }
  if (error instanceof SMTPNotSupportedError) return lackOf(error.capability);
  if (error instanceof SMTPServerDisconnected) return lossFields(error);
  if (error.cause instanceof HiddenEndError) return { code: "EMESSAGE", command: "DATA" };
  // Thrown by the pool: the queue is full. Other exceptions of this class: the login could not be completed.
  const full = error.temporary && error.cause === undefined;
  return { code: full ? "EMAXLIMIT" : "EAUTH", command: "API" };
}

const TIMEOUTS: { readonly [phase in TimeoutPhase]?: NonNullable<ErrorFields["timeoutType"]> } = {
  connect: "CONNECT_TIMEOUT",
  greeting: "GREETING_TIMEOUT",
  tls: "UPGRADE_TIMEOUT",
};

function refusedFields({ recipients }: SMTPRecipientsRefused): ErrorFields {
  const rejected = Object.entries(recipients);
  if (rejected.length === 0) return { code: "EENVELOPE", command: "API" };
  const rejectedErrors = rejected.map(([address, reply]) => recipientError(address, reply));
  // As in nodemailer: a temporary refusal, if there is one, represents all.
  const [, reply] = rejected.find(([, { code }]) => code < 500) ?? rejected.at(-1) ?? [];
  return { ...refusalOf(reply), rejected: Object.keys(recipients), rejectedErrors, ...replyFields(reply) };
}

function connectFields(error: SMTPConnectError): ErrorFields {
  const { cause, reply } = error;
  const command = "CONN";
  if (reply !== undefined) return { code: "EPROTOCOL", command, ...replyFields(reply) };
  if (cause instanceof SMTPServerDisconnected) return { code: "EPROTOCOL", command };
  const original = originalOf(cause);
  if (failedLookup(cause) === undefined) return { code: "ESOCKET", command, ...original };
  return { code: "EDNS", command, originalCode: "ENOTFOUND", ...original };
}

function lossFields({ cause }: SMTPServerDisconnected): ErrorFields {
  const command = "CONN";
  const original = originalOf(cause);
  if (cause instanceof TlsError || original.originalCode !== undefined)
    return { code: "ESOCKET", command, ...original };
  return { code: "ECONNECTION", command, ...lastLineFields(cause) };
}

/** A refusal whose end is missing because the server closed the connection. */
function lastLineFields(cause: unknown): Partial<ErrorFields> {
  const { cause: line }: { cause?: unknown } = cause instanceof Error ? cause : {};
  if (!(line instanceof Error)) return {};
  const code = /^[45]\d\d(?=[ -])/.exec(line.message)?.[0];
  return code === undefined ? {} : codeFields(Number(code), line.message);
}

function verdictOf(error: SMTPResponseException): ErrorFields {
  const { reply } = error;
  const refused = refusedCommand(reply);
  if (error instanceof SMTPSenderRefused) return { code: "EENVELOPE", command: "MAIL FROM" };
  if (error instanceof SMTPDataError)
    return { code: refusesContent(reply) ? "EMESSAGE" : "EENVELOPE", command: "DATA" };
  if (error instanceof SMTPAuthenticationError) return { code: "EAUTH", command: refused ?? "AUTH" };
  if (error instanceof SMTPHeloError) {
    const command = refused ?? "EHLO";
    return { code: reply?.code === 421 && command === "EHLO" ? "ECONNECTION" : "EPROTOCOL", command };
  }
  return refused === undefined || refused === "STARTTLS"
    ? { code: "ETLS", command: "STARTTLS" }
    : { code: "EPROTOCOL", command: refused };
}

function lackOf(capability: string | undefined): ErrorFields {
  switch (capability) {
    case "STARTTLS":
      return { code: "ETLS", command: "STARTTLS" };
    case "AUTH":
      return { code: "EAUTH", command: "API" };
    case "REQUIRETLS":
      return { code: "EREQUIRETLS", command: "MAIL FROM" };
    case "SIZE":
    case "8BITMIME":
      return { code: "EMESSAGE", command: "MAIL FROM" };
    default:
      return { code: "EENVELOPE", command: "MAIL FROM" };
  }
}

function replyFields(reply: Reply | undefined): Partial<ErrorFields> {
  return reply === undefined ? {} : codeFields(reply.code, responseOf(reply));
}

function codeFields(responseCode: number, response: string): Partial<ErrorFields> {
  // 503 says that the session was in the wrong state, not that the message was refused.
  const permanent = responseCode >= 500 && responseCode !== 503;
  return { response, responseCode, permanent };
}

/** The code of the underlying error, which a `TlsError` may wrap. */
function originalOf(error: unknown): { originalCode?: string } {
  if (!(error instanceof Error)) return {};
  const code: unknown = Reflect.get(error, "code");
  return typeof code === "string" ? { originalCode: code } : originalOf(error.cause);
}
