/** What an error says to the pool: whether to go on, by another connection or later, and whether the server is overloaded. */
import type { Reply } from "../core/reply.ts";
import {
  SMTPException,
  SMTPRecipientsRefused,
  SMTPResponseException,
  SMTPSenderRefused,
  SMTPServerDisconnected,
  SMTPTimeoutError,
} from "../errors.ts";

/** Replies by which a server refuses a message or a login for now, maybe because it is asked for too much at once. */
const NOT_NOW: ReadonlySet<number> = new Set([432, 450, 451, 454]);

/**
 * What an error says of the server's load: 421 is a complaint (RFC 5321 3.8), other temporary refusals may be one;
 * undefined: nothing.
 */
export function complaintIn(error: unknown): "complaint" | "refusal" | undefined {
  const refusals = refusalsIn(error);
  if (refusals.some(({ code }) => code === 421)) return "complaint";
  return refusals.length > 0 && refusals.every(isOfTheServer) ? "refusal" : undefined;
}

/**
 * The enhanced code tells a server in trouble, X.3.y, and one that is asked for too much, X.7.y, from an address, X.1.y,
 * or a mailbox, X.2.y, that cannot be served (RFC 3463 3); where it tells neither, the code itself has to.
 */
function isOfTheServer({ code, enhancedCode }: Refusal): boolean {
  if (code < 400 || code > 499) return false;
  const [, subject] = enhancedCode?.split(".") ?? [];
  if (subject === "3" || subject === "7") return true;
  return subject !== "1" && subject !== "2" && NOT_NOW.has(code);
}

/**
 * True if a connection could not be opened for a reason that another one would meet, too, now and later: wrong
 * credentials, a certificate, an extension that is missing, 5yz, an error of the caller's code.
 */
export function isLasting(error: unknown): boolean {
  return !(error instanceof SMTPException && error.temporary);
}

/**
 * True if a used connection was found dead before the message could be sent. A timeout is no such thing: the server is
 * there, and a late answer may mean anything.
 */
export function foundDead(error: unknown): boolean {
  if (error instanceof SMTPTimeoutError) return false;
  if (error instanceof SMTPServerDisconnected) return error.delivery === "not-sent";
  if (error instanceof SMTPSenderRefused) return error.smtp_code === 421;
  return error instanceof SMTPRecipientsRefused && refusalsIn(error).some(({ code }) => code === 421);
}

/**
 * What a message that waits is told of a connection that was lost at another message: nothing of that message's sender
 * and recipients, and nothing that was refused to them.
 */
export function lossOf(error: unknown): unknown {
  if (!(error instanceof SMTPSenderRefused || error instanceof SMTPRecipientsRefused)) return error;
  const { code, enhancedCode } = refusalsIn(error).find((refusal) => refusal.code === 421) ?? { code: 421 };
  const said = [code, enhancedCode].filter((part) => part !== undefined).join(" ");
  return new SMTPServerDisconnected(`the server ended the connection at its first message: ${said}`, {
    delivery: "not-sent",
  });
}

type Refusal = Pick<Reply, "code" | "enhancedCode">;

function refusalsIn(error: unknown): Refusal[] {
  if (error instanceof SMTPRecipientsRefused) return Object.values(error.recipients);
  if (!(error instanceof SMTPResponseException)) return [];
  return [error.reply ?? { code: error.smtp_code, enhancedCode: undefined }];
}
