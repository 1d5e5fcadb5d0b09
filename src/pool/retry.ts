/** Classifies an error for the pool: whether to retry, here or elsewhere, and whether the server is overloaded. */
import type { Reply } from "../core/reply.ts";
import {
  SMTPException,
  SMTPRecipientsRefused,
  SMTPResponseException,
  SMTPSenderRefused,
  SMTPServerDisconnected,
  SMTPTimeoutError,
} from "../errors.ts";
import type { Job } from "./job.ts";

/** Temporary refusals of a message or a login that overload may cause. */
const MAYBE_OVERLOAD: ReadonlySet<number> = new Set([432, 450, 451, 454]);

/**
 * Returns "complaint" for a 421 (RFC 5321 3.8), "refusal" for other temporary refusals that overload may cause, and
 * `undefined` for an error that does not indicate load.
 */
export function complaintIn(error: unknown): "complaint" | "refusal" | undefined {
  const refusals = refusalsIn(error);
  if (refusals.some(({ code }) => code === 421)) return "complaint";
  return refusals.length > 0 && refusals.every(isOfTheServer) ? "refusal" : undefined;
}

/**
 * The enhanced code distinguishes the state of the server (X.3.y) and its policy (X.7.y) from an address (X.1.y) or a
 * mailbox (X.2.y) (RFC 3463 3); otherwise the reply code decides.
 */
function isOfTheServer({ code, enhancedCode }: Refusal): boolean {
  if (code < 400 || code > 499) return false;
  const [, subject] = enhancedCode?.split(".") ?? [];
  if (subject === "3" || subject === "7") return true;
  return subject !== "1" && subject !== "2" && MAYBE_OVERLOAD.has(code);
}

/**
 * True if connecting failed for a reason that applies to every other connection, now and later: wrong credentials, a
 * certificate, a missing extension, 5yz, an error in the caller's code.
 */
export function isPermanent(error: unknown): boolean {
  return !(error instanceof SMTPException && error.temporary);
}

/**
 * True if a used connection turned out to be dead before the message was sent. A timeout does not count: the server is
 * reachable, and a late reply may mean anything.
 */
export function isDeadConnection(error: unknown): boolean {
  if (error instanceof SMTPTimeoutError) return false;
  if (error instanceof SMTPServerDisconnected) return error.delivery === "not-sent";
  if (error instanceof SMTPSenderRefused) return error.smtp_code === 421;
  return error instanceof SMTPRecipientsRefused && refusalsIn(error).some(({ code }) => code === 421);
}

/**
 * Returns the error for waiting messages, after a connection was lost at another message: it contains neither that
 * message's sender and recipients nor their refusals.
 */
export function connectionLossOf(error: unknown): unknown {
  if (!(error instanceof SMTPSenderRefused || error instanceof SMTPRecipientsRefused)) return error;
  const { code, enhancedCode } = refusalsIn(error).find((refusal) => refusal.code === 421) ?? { code: 421 };
  const said = [code, enhancedCode].filter((part) => part !== undefined).join(" ");
  return new SMTPServerDisconnected(`the server ended the connection at its first message: ${said}`, {
    delivery: "not-sent",
  });
}

/** True if the message was certainly not sent, was not retried before, and its content can be read a second time. */
export function mayRetry(job: Job, error: unknown): boolean {
  if (job.late || job.signal?.aborted === true || !isDeadConnection(error)) return false;
  return !job.begun || (!job.retried && !job.contentBegun);
}

type Refusal = Pick<Reply, "code" | "enhancedCode">;

function refusalsIn(error: unknown): Refusal[] {
  if (error instanceof SMTPRecipientsRefused) return Object.values(error.recipients);
  if (!(error instanceof SMTPResponseException)) return [];
  return [error.reply ?? { code: error.smtp_code, enhancedCode: undefined }];
}
