/** What an error says to the pool: whether the message may go by another connection, and whether the server is overloaded. */
import {
  SMTPRecipientsRefused,
  SMTPResponseException,
  SMTPSenderRefused,
  SMTPServerDisconnected,
  SMTPTimeoutError,
} from "../errors.ts";

/** Replies by which a server refuses a message or a login for now, maybe because it is asked for too much at once. */
const NOT_NOW: ReadonlySet<number> = new Set([450, 451, 454]);

/**
 * What an error says of the server's load: 421 is a complaint (RFC 5321 3.8), the others may be one; undefined: nothing.
 */
export function complaintIn(error: unknown): "complaint" | "refusal" | undefined {
  const codes = codesOf(error);
  if (codes.includes(421)) return "complaint";
  return codes.length > 0 && codes.every((code) => NOT_NOW.has(code)) ? "refusal" : undefined;
}

/**
 * True if a used connection was found dead before the message could be sent. A timeout is no such thing: the server is
 * there, and a late answer may mean anything.
 */
export function foundDead(error: unknown): boolean {
  if (error instanceof SMTPTimeoutError) return false;
  if (error instanceof SMTPServerDisconnected) return error.delivery === "not-sent";
  if (error instanceof SMTPSenderRefused) return error.smtp_code === 421;
  return error instanceof SMTPRecipientsRefused && codesOf(error).includes(421);
}

function codesOf(error: unknown): number[] {
  if (error instanceof SMTPRecipientsRefused) return Object.values(error.recipients).map(({ code }) => code);
  return error instanceof SMTPResponseException ? [error.smtp_code] : [];
}
