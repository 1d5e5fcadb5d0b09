/** Our exceptions with the fields that nodemailer's users look at: `code`, `command`, `response`, `responseCode`, `rejected`. */
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

/** nodemailer's codes, as far as they arise here. */
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

/** What nodemailer adds to an error. */
export type ErrorFields = {
  /** What went wrong, in nodemailer's words. */
  code: ErrorCode;
  /** The command that it went wrong with; "CONN" for the connection, "API" for none. */
  command?: string | undefined;
  /** The server's reply, with its code. */
  response?: string | undefined;
  /** The code of the reply. */
  responseCode?: number | undefined;
  /** Whether the same message would be refused again; where there is a reply. */
  permanent?: boolean | undefined;
  /** The code that the error underneath has, such as ECONNREFUSED. */
  originalCode?: string | undefined;
  /** Which wait it was that took too long. */
  timeoutType?: "CONNECT_TIMEOUT" | "GREETING_TIMEOUT" | "UPGRADE_TIMEOUT" | "SOCKET_TIMEOUT" | undefined;
  /** The refused recipient. */
  recipient?: string | undefined;
  /** The recipients, where all were refused. */
  rejected?: string[] | undefined;
  /** An error for each of them. */
  rejectedErrors?: NodemailerError[] | undefined;
};

/** An error as nodemailer's users expect it. Most are `SMTPException`s of ours, too. */
export type NodemailerError = Error & ErrorFields;

/** An error of the envelope that was found before anything was sent. */
export function envelopeError(message: string, command: string): NodemailerError {
  return Object.assign(new Error(message), { code: "EENVELOPE" as const, command });
}

/** The error of an aborted mail, as nodemailer has it. */
export function abortError(reason: unknown): NodemailerError {
  const error = new Error("Message sending aborted", { cause: reason });
  return Object.assign(error, { name: "AbortError", code: "EABORT" as const });
}

/** An error for a recipient that was refused while others were accepted. */
export function recipientError(recipient: string, reply: Reply, protocol: "smtp" | "lmtp"): NodemailerError {
  const command = protocol === "lmtp" ? "DATA" : "RCPT TO";
  const text = protocol === "lmtp" ? `Message failed for recipient ${recipient}` : "Recipient command failed";
  const fields = { code: protocol === "lmtp" ? ("EMESSAGE" as const) : ("EENVELOPE" as const), command, recipient };
  return Object.assign(new Error(`${text}: ${responseOf(reply)}`), fields, replyFields(reply));
}

/** A reply as nodemailer writes it: each line with the code. */
export function responseOf(reply: Reply): string {
  const { code, lines } = reply;
  return lines.map((line, index) => `${code}${index + 1 < lines.length ? "-" : " "}${line}`).join("\n");
}

/** Adds nodemailer's fields to an error. */
export function asNodemailerError(error: unknown, protocol: "smtp" | "lmtp"): NodemailerError {
  if (error instanceof SMTPException) return Object.assign(error, fieldsOf(error, protocol));
  if (error instanceof TypeError || error instanceof RangeError) {
    return Object.assign(error, { code: "EENVELOPE" as const, command: "API" });
  }
  const wrapped = error instanceof Error ? error.message : String(error);
  return Object.assign(new Error(wrapped, { cause: error }), { code: "ECONNECTION" as const, command: "CONN" });
}

function fieldsOf(error: SMTPException, protocol: "smtp" | "lmtp"): ErrorFields {
  if (error instanceof SMTPRecipientsRefused) return refusedFields(error, protocol);
  if (error instanceof SMTPConnectError) return connectFields(error);
  if (error instanceof SMTPResponseException) return { ...verdictOf(error), ...replyFields(error.reply) };
  if (error instanceof SMTPTimeoutError) {
    return { code: "ETIMEDOUT", command: "CONN", timeoutType: TIMEOUTS[error.phase] ?? "SOCKET_TIMEOUT" };
  }
  if (error instanceof SMTPNotSupportedError) return lackOf(error.capability);
  if (error.cause instanceof TlsError) return { code: "ETLS", command: "STARTTLS" };
  if (error instanceof SMTPServerDisconnected) {
    return { code: "ECONNECTION", command: "CONN", ...originalOf(error.cause) };
  }
  // The pool's own: as many messages wait as may. Otherwise no mechanism is common.
  return error.temporary ? { code: "EMAXLIMIT", command: "API" } : { code: "EAUTH", command: "AUTH" };
}

const TIMEOUTS: { readonly [phase in TimeoutPhase]?: NonNullable<ErrorFields["timeoutType"]> } = {
  connect: "CONNECT_TIMEOUT",
  greeting: "GREETING_TIMEOUT",
  tls: "UPGRADE_TIMEOUT",
};

function refusedFields({ recipients }: SMTPRecipientsRefused, protocol: "smtp" | "lmtp"): ErrorFields {
  const rejected = Object.entries(recipients);
  const rejectedErrors = rejected.map(([address, reply]) => recipientError(address, reply, protocol));
  // As nodemailer: a temporary refusal stands for all, if there is one.
  const [, reply] = rejected.find(([, { code }]) => code < 500) ?? rejected.at(-1) ?? [];
  const code = protocol === "lmtp" ? "EMESSAGE" : "EENVELOPE";
  const command = protocol === "lmtp" ? "DATA" : "RCPT TO";
  return { code, command, rejected: Object.keys(recipients), rejectedErrors, ...replyFields(reply) };
}

function connectFields(error: SMTPConnectError): ErrorFields {
  const { cause, reply } = error;
  const command = "CONN";
  if (reply !== undefined) return { code: "EPROTOCOL", command, ...replyFields(reply) };
  if (cause instanceof TlsError) return { code: "ETLS", command };
  if (cause instanceof SMTPServerDisconnected) return { code: "EPROTOCOL", command };
  const original = originalOf(cause);
  return { code: isUnknownHost(original.originalCode, cause) ? "EDNS" : "ESOCKET", command, ...original };
}

/** Deno's error for a name that nobody knows has no code. */
function isUnknownHost(code: string | undefined, cause: unknown): boolean {
  if (code !== undefined) return ["ENOTFOUND", "EAI_AGAIN", "EAI_FAIL", "EAI_NODATA"].includes(code);
  return cause instanceof Error && cause.message.startsWith("failed to lookup address information");
}

function verdictOf(error: SMTPResponseException): ErrorFields {
  if (error instanceof SMTPSenderRefused) return { code: "EENVELOPE", command: "MAIL FROM" };
  if (error instanceof SMTPDataError) return { code: "EMESSAGE", command: "DATA" };
  if (error instanceof SMTPAuthenticationError) return { code: "EAUTH", command: "AUTH" };
  if (error instanceof SMTPHeloError) return { code: "EPROTOCOL", command: "EHLO" };
  return { code: "ETLS", command: "STARTTLS" };
}

function lackOf(capability: string | undefined): ErrorFields {
  switch (capability) {
    case "STARTTLS":
      return { code: "ETLS", command: "STARTTLS" };
    case "AUTH":
      return { code: "EAUTH", command: "AUTH" };
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
  if (reply === undefined) return {};
  const { code: responseCode } = reply;
  // 503 says that the session was in the wrong state, not that the message was refused.
  const permanent = responseCode >= 500 && responseCode !== 503;
  return { response: responseOf(reply), responseCode, permanent };
}

function originalOf(cause: unknown): { originalCode?: string } {
  const code: unknown = typeof cause === "object" && cause !== null ? Reflect.get(cause, "code") : undefined;
  return typeof code === "string" ? { originalCode: code } : {};
}
