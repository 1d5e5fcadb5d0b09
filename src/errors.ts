/**
 * The exceptions of Python's smtplib, under their own names, and the error that transports throw. Errors have fields,
 * so that callers need not match their texts.
 */
import type { Refused, Reply } from "./core/reply.ts";

/**
 * The outcome of the message that a failed call concerned: certainly not delivered, refused by the server, or unknown,
 * because the connection was lost after the end of the data was sent (RFC 1047).
 */
export type DeliveryOutcome = "not-sent" | "rejected" | "unknown";

/** The phases of a session that have their own deadline: the keys of the option `timeouts`. */
export type TimeoutPhase =
  | "connect"
  | "greeting"
  | "tls"
  | "command"
  | "envelope"
  | "dataInit"
  | "dataBlock"
  | "dataDone"
  | "quit"
  | "total";

/** The details of an exception, beside Python's arguments. */
export type ExceptionDetails = {
  /** True if the same call may succeed later. */
  temporary?: boolean | undefined;
  /** The outcome of the message, if the call concerned one. */
  delivery?: DeliveryOutcome | undefined;
  /** The underlying error. */
  cause?: unknown;
  /** Advice that is added to the message; `smtp_error` remains the server's text. */
  hint?: string | undefined;
};

/** The details of an exception caused by a reply. */
export type ResponseDetails = ExceptionDetails & {
  /** The whole reply. */
  reply?: Reply | undefined;
};

/** Base class of all exceptions of this module: Python's `smtplib.SMTPException`. */
export class SMTPException extends Error {
  /**
   * True if the same call may succeed later: 4yz replies, 552 to RCPT, lost connections, a server that cannot be
   * reached now, a Unix socket that is missing (its server may be starting). Never a failed certificate, a host name
   * that does not exist, a Unix socket without permission (EACCES), or a proxy that refuses the credentials.
   */
  temporary: boolean;
  /** Whether the message of this call was delivered; undefined if the call concerned no message. */
  declare delivery: DeliveryOutcome | undefined;

  constructor(message?: string, details: ExceptionDetails = {}) {
    super(
      escapeControls(`${message ?? ""}${details.hint ?? ""}`),
      details.cause === undefined ? undefined : { cause: details.cause },
    );
    this.temporary = details.temporary ?? false;
    if (details.delivery !== undefined) this.delivery = details.delivery;
  }
}

/** The connection was lost, or used before `connect()`: Python's `smtplib.SMTPServerDisconnected`. */
export class SMTPServerDisconnected extends SMTPException {
  /** LMTP, if the connection was lost between the replies to the data: the replies so far, in the recipients' order. */
  readonly replies: readonly Reply[];
  /**
   * If `delivery` is "unknown": the recipients that the server refused before; they certainly did not get the message.
   * Undefined if there are none.
   */
  declare refused: Refused | undefined;
  /** In LMTP, if `delivery` is "unknown": the recipients whose copy was accepted. Undefined if there are none. */
  declare accepted: readonly string[] | undefined;

  constructor(message?: string, details: ExceptionDetails & { replies?: readonly Reply[] | undefined } = {}) {
    super(message, { ...details, temporary: details.temporary ?? true });
    this.replies = details.replies ?? [];
    if (this.replies.length === 0) Object.defineProperty(this, "replies", { enumerable: false });
  }
}

/** A timeout expired; the session is closed. Python throws the superclass, `SMTPServerDisconnected`. */
export class SMTPTimeoutError extends SMTPServerDisconnected {
  /** The key of `timeouts` that expired. */
  readonly phase: TimeoutPhase;

  constructor(
    phase: TimeoutPhase,
    message?: string,
    details: ExceptionDetails & { replies?: readonly Reply[] | undefined } = {},
  ) {
    super(message ?? `timed out (${phase})`, details);
    this.phase = phase;
  }
}

/** The server lacks what the call needs: Python's `smtplib.SMTPNotSupportedError`. */
export class SMTPNotSupportedError extends SMTPException {
  /** The EHLO keyword of the missing extension, in upper case, if there is one. */
  declare readonly capability: string | undefined;

  constructor(message?: string, details: ExceptionDetails & { capability?: string | undefined } = {}) {
    super(message, details);
    if (details.capability !== undefined) this.capability = details.capability;
  }
}

/** All recipients were refused: Python's `smtplib.SMTPRecipientsRefused`. */
export class SMTPRecipientsRefused extends SMTPException {
  /** Refused address -> the reply that refused it. */
  readonly recipients: Refused;

  constructor(recipients: Refused, details: ExceptionDetails = {}) {
    super(describeRefused(recipients), { delivery: "rejected", ...details });
    this.recipients = recipients;
  }
}

/** Base class of all exceptions that carry a reply code: Python's `smtplib.SMTPResponseException`. */
export class SMTPResponseException extends SMTPException {
  /** The reply code; -1 if no reply came. */
  smtp_code: number;
  /** The text of the reply, lines joined with "\n". */
  smtp_error: string;
  /** The whole reply, if there was one. */
  readonly reply: Reply | undefined;

  constructor(code: number, msg: string, details: ResponseDetails = {}) {
    super(code < 0 ? msg : `${code} ${msg}`, {
      ...details,
      temporary: details.temporary ?? (code >= 400 && code < 500),
    });
    this.smtp_code = code;
    this.smtp_error = msg;
    this.reply = details.reply;
    // Hidden when printed, since it repeats the two above.
    Object.defineProperty(this, "reply", { enumerable: false });
  }
}

/** The sender address was refused: Python's `smtplib.SMTPSenderRefused`. */
export class SMTPSenderRefused extends SMTPResponseException {
  /** The refused sender, as it was given. */
  sender: string;

  constructor(code: number, msg: string, sender: string, details: ResponseDetails = {}) {
    super(code, msg, details);
    this.sender = sender;
  }
}

/** The server refused the message data: Python's `smtplib.SMTPDataError`. */
export class SMTPDataError extends SMTPResponseException {}

/** No connection could be established, or the greeting was not 220: Python's `smtplib.SMTPConnectError`. */
export class SMTPConnectError extends SMTPResponseException {}

/** The server refused EHLO and HELO: Python's `smtplib.SMTPHeloError`. */
export class SMTPHeloError extends SMTPResponseException {}

/** The details of a failed authentication. */
export type AuthenticationDetails = ResponseDetails & {
  /** The error of each mechanism that was tried. */
  causes?: readonly SMTPException[] | undefined;
  /** The fields of the mechanism's own error. */
  serverError?: Readonly<Record<string, string>> | undefined;
};

/** The server did not accept the credentials: Python's `smtplib.SMTPAuthenticationError`. */
export class SMTPAuthenticationError extends SMTPResponseException {
  /** The error of each mechanism that was tried, in order. */
  readonly causes: readonly SMTPException[];
  /**
   * The fields of the mechanism's own error, if the server sent one before its reply: `status` and other fields, such
   * as OAUTHBEARER's `scope` (RFC 7628 3.2.2).
   */
  declare readonly serverError: Readonly<Record<string, string>> | undefined;

  constructor(code: number, msg: string, details: AuthenticationDetails = {}) {
    super(code, msg, details);
    this.causes = details.causes ?? [];
    // Hidden when printed, since they repeat this error or those of the cause.
    Object.defineProperty(this, "causes", { enumerable: false });
    if (details.serverError !== undefined) this.serverError = details.serverError;
  }
}

/**
 * Why TLS could not be established: the certificate has another `name`, an untrusted `issuer`, has `expired`, none of
 * the pinned fingerprints (`fingerprint`), or another fault (`certificate`); the server's key or signature is a
 * `weak-key` to this runtime; there is `no-shared-cipher`, group or signature algorithm; no protocol `version` in
 * common; plain text came in place of TLS (`not-tls`); the connection was `closed`; or the `handshake` failed for
 * another reason.
 */
export type TlsFailure =
  | "name"
  | "issuer"
  | "expired"
  | "fingerprint"
  | "certificate"
  | "weak-key"
  | "no-shared-cipher"
  | "version"
  | "not-tls"
  | "closed"
  | "handshake";

/** The error of a transport's `startTls`; it becomes the `cause` of an `SMTPException`. */
export class TlsError extends Error {
  /** The kind of the failure. */
  readonly failure: TlsFailure;

  constructor(failure: TlsFailure, message: string, options: { cause?: unknown } = {}) {
    super(escapeControls(message), options);
    this.failure = failure;
  }

  /** True if trying again will not help: the certificate was refused, or the two ends have nothing in common. */
  get permanent(): boolean {
    return !["closed", "handshake"].includes(this.failure);
  }
}

/** Makes text of the server safe for a message or a log: one line, with control characters escaped. */
export function escapeControls(text: string): string {
  const escaped = (c: string): string => `\\x${c.charCodeAt(0).toString(16).padStart(2, "0")}`;
  return text.replaceAll("\n", " / ").replace(/[\x00-\x1f\x7f-\x9f]/g, escaped);
}

function describeRefused(recipients: Refused): string {
  const list = Object.entries(recipients).map(([address, [code, message]]) => `${address}: ${code} ${message}`);
  return list.length === 0 ? "no recipient was given" : ["no recipient was accepted", ...list].join("; ");
}

/** Sets the names of the classes, since a minifier would change them. */
const NAMED = {
  SMTPException,
  SMTPServerDisconnected,
  SMTPTimeoutError,
  SMTPNotSupportedError,
  SMTPRecipientsRefused,
  SMTPResponseException,
  SMTPSenderRefused,
  SMTPDataError,
  SMTPConnectError,
  SMTPHeloError,
  SMTPAuthenticationError,
  TlsError,
};
for (const [name, { prototype }] of Object.entries(NAMED)) {
  prototype.name = name;
}

/** Default values of fields are on the prototypes, so that they are not printed. */
for (const [{ prototype }, field] of [
  [SMTPException, "delivery"],
  [SMTPNotSupportedError, "capability"],
  [SMTPAuthenticationError, "serverError"],
] as const) {
  Object.defineProperty(prototype, field, { value: undefined, writable: true, configurable: true });
}
