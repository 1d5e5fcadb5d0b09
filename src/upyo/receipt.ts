/** Makes Upyo's receipts from deliveries and failures. */
import type { Delivery } from "../client/outcome.ts";
import { mayPass } from "../core/refused-command.ts";
import { isTokenFailure } from "../core/token-failure.ts";
import {
  type DeliveryOutcome,
  SMTPAuthenticationError,
  SMTPException,
  SMTPNotSupportedError,
  SMTPRecipientsRefused,
  SMTPResponseException,
  SMTPServerDisconnected,
  SMTPTimeoutError,
} from "../errors.ts";

/** The identifier of this transport in receipts. */
export const PROVIDER = "smtplib";

/** The kind of a failure: those of Upyo's categories that occur here. */
export type FailureCategory =
  | "auth"
  | "rate-limit"
  | "network"
  | "timeout"
  | "validation"
  | "rejected"
  | "service-unavailable"
  | "configuration"
  | "unknown";

/** An error of a receipt: Upyo's `ReceiptError` (since Upyo 0.5). */
export type SmtplibReceiptError = {
  readonly message: string;
  /** `smtp.550` for a reply, `smtp.smtputf8-unsupported` for an extension that is missing; else the category. */
  readonly code: string;
  readonly category: FailureCategory;
  /** True if the same message may be sent again: it was certainly not accepted, and the reason is temporary. */
  readonly retryable: boolean;
  readonly provider: "smtplib";
  readonly providerDetails: {
    /** The outcome of the message, if it is known, as in `SMTPException`. */
    readonly delivery?: DeliveryOutcome | undefined;
    /** The recipient that the reply refused. */
    readonly recipient?: string | undefined;
    /** The reply's text. */
    readonly response?: string | undefined;
    /** The reply's enhanced status code, such as "5.1.1". */
    readonly enhancedStatusCode?: string | undefined;
  };
};

/** A recipient that was refused while others were accepted. */
export type RejectedRecipient = {
  readonly recipient: string;
  /** The code of the reply. */
  readonly code: number;
  /** The text of the reply. */
  readonly response: string;
  /** True if a message for this recipient alone may be accepted later. */
  readonly retryable: boolean;
};

/** A message was accepted for one recipient at least. */
export type SentReceipt = {
  readonly successful: true;
  /** The Message-ID that is in the message, in angle brackets. */
  readonly messageId: string;
  readonly provider: "smtplib";
  /** The number of attempts: 1. */
  readonly attempts: number;
  /** When the receipt was made, in ISO 8601. */
  readonly timestamp: string;
  /** The refused recipients: nothing was sent to them. */
  readonly rejectedRecipients: readonly RejectedRecipient[];
  /** The result of `SMTPPool.deliver()`: accepted and refused recipients, and the server's replies. */
  readonly delivery: Delivery;
};

/** A message was not sent, or it is not known whether it was. */
export type FailedReceipt = {
  readonly successful: false;
  /** The messages of `errors`. */
  readonly errorMessages: readonly string[];
  /** An error for each recipient, if the recipients were refused; else one error. */
  readonly errors: readonly SmtplibReceiptError[];
  /**
   * True if the same message may be sent again. False if it is unknown whether the server accepted it (`delivery` is
   * "unknown"), since sending it again could duplicate it.
   */
  readonly retryable: boolean;
  readonly provider: "smtplib";
  /** The number of attempts: 1. */
  readonly attempts: number;
  /** When the receipt was made, in ISO 8601. */
  readonly timestamp: string;
  /** The error, usually an `SMTPException`, whose `delivery` and `temporary` tell whether to retry. */
  readonly error: unknown;
};

/** Upyo's receipt, with further fields. */
export type SmtplibReceipt = SentReceipt | FailedReceipt;

/** The receipt of a message that was accepted. */
export function sentReceipt(messageId: string, delivery: Delivery): SentReceipt {
  const rejectedRecipients = Object.entries(delivery.refused).map(([recipient, reply]) => {
    const { code, message: response } = reply;
    return { recipient, code, response, retryable: mayPass(reply) };
  });
  return { successful: true, messageId, ...common(), rejectedRecipients, delivery };
}

/** The receipt of a message that was not accepted, or whose outcome is unknown. */
export function failedReceipt(error: unknown): FailedReceipt {
  const errors = errorsOf(error);
  return {
    successful: false,
    errorMessages: errors.map(({ message }) => message),
    errors,
    retryable: errors.some(({ retryable }) => retryable),
    ...common(),
    error,
  };
}

function common(): { provider: "smtplib"; attempts: number; timestamp: string } {
  return { provider: PROVIDER, attempts: 1, timestamp: new Date().toISOString() };
}

function errorsOf(error: unknown): SmtplibReceiptError[] {
  if (error instanceof SMTPRecipientsRefused) {
    const refused = Object.entries(error.recipients).map(([recipient, reply]) => {
      const { code, message, enhancedCode } = reply;
      const retryable = mayPass(reply) && error.delivery !== "unknown";
      return receiptError(
        `${recipient}: ${code} ${message}`,
        { code: `smtp.${code}`, category: refusal(code) },
        retryable,
        {
          ...{ delivery: error.delivery, recipient, response: message, enhancedStatusCode: enhancedCode },
        },
      );
    });
    if (refused.length > 0) return refused;
  }
  const message = error instanceof Error ? error.message : String(error);
  if (!(error instanceof SMTPException)) return [receiptError(message, foreign(error), false, {})];
  const retryable = error.temporary && error.delivery !== "unknown";
  return [receiptError(message, kindOf(error), retryable, { delivery: error.delivery, ...replyOf(error) })];
}

function receiptError(
  message: string,
  { code, category }: Kind,
  retryable: boolean,
  providerDetails: SmtplibReceiptError["providerDetails"],
): SmtplibReceiptError {
  return { message, code: code ?? category, category, retryable, provider: PROVIDER, providerDetails };
}

type Kind = { readonly code?: string; readonly category: FailureCategory };

function kindOf(error: SMTPException): Kind {
  if (error instanceof SMTPResponseException && error.smtp_code > 0) {
    const category = error instanceof SMTPAuthenticationError ? "auth" : refusal(error.smtp_code);
    return { code: `smtp.${error.smtp_code}`, category };
  }
  if (error instanceof SMTPAuthenticationError) return { category: "auth" };
  if (isTokenFailure(error)) return { category: "auth" };
  if (error instanceof SMTPTimeoutError) return { category: "timeout" };
  if (error instanceof SMTPServerDisconnected || error instanceof SMTPResponseException) return { category: "network" };
  if (error instanceof SMTPNotSupportedError) {
    const { capability } = error;
    return {
      category: "configuration",
      ...(capability ? { code: `smtp.${capability.toLowerCase()}-unsupported` } : {}),
    };
  }
  // No recipient was given.
  if (error instanceof SMTPRecipientsRefused) return { category: "validation" };
  // The pool's queue is full.
  return { category: error.temporary ? "rate-limit" : "unknown" };
}

/** An error of the message or its parts. */
function foreign(error: unknown): Kind {
  return { category: error instanceof TypeError || error instanceof RangeError ? "validation" : "unknown" };
}

function replyOf(error: SMTPException): SmtplibReceiptError["providerDetails"] {
  if (!(error instanceof SMTPResponseException) || error.smtp_code < 0) return {};
  return { response: error.smtp_error, enhancedStatusCode: error.reply?.enhancedCode };
}

/** As in Upyo's own SMTP transport. */
function refusal(code: number): FailureCategory {
  if (code >= 400 && code < 500) return "service-unavailable";
  return code >= 500 && code < 600 ? "rejected" : "unknown";
}
