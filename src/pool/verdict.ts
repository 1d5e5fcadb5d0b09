/** What an error says to the pool: whether the message may go by another connection, and whether the server is overloaded. */
import {
  SMTPRecipientsRefused,
  SMTPResponseException,
  SMTPSenderRefused,
  SMTPServerDisconnected,
  SMTPTimeoutError,
} from "../errors.ts";

/** Replies by which a server says that it is being asked for too much at once (RFC 5321 4.2.2, RFC 4954 6). */
const OVERLOADED: ReadonlySet<number> = new Set([421, 450, 451, 454]);

/** True if all that the server said was that it cannot do so much now. */
export function saysTooMuch(error: unknown): boolean {
  const codes = codesOf(error);
  return codes.length > 0 && codes.every((code) => OVERLOADED.has(code));
}

/**
 * True if a connection that had been used before was found dead: the message was certainly not taken, and is not what
 * killed it. A timeout is no such thing, nor is any other answer of the server's (SECURITY.md, "Pool").
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
