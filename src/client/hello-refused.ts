/** The exceptions for an EHLO, LHLO or HELO that a server does not accept. */
import type { Reply } from "../core/reply.ts";
import { type DeliveryOutcome, SMTPException, SMTPHeloError, SMTPNotSupportedError } from "../errors.ts";
import type { Connection } from "./connection.ts";
import { protocolBroken } from "./session-end.ts";

/** A refusal of `line`; the message quotes the line, since its name is what servers mostly object to. */
export function helloRefused(
  reply: Reply,
  line: string,
  delivery: DeliveryOutcome | undefined,
  cause?: unknown,
): SMTPHeloError {
  const { code, message } = reply;
  const advice = code === 421 ? "" : "; the option local_hostname sets this name";
  const hint = ` (the answer to ${JSON.stringify(line)}${advice})`;
  return new SMTPHeloError(code, message, { delivery, reply, cause, hint });
}

/** An EHLO or LHLO that was refused: the line and its answer. */
export type RefusedHello = { readonly line: string; readonly reply: Reply };

/**
 * Adds the refusal of EHLO to the error for an extension that is missing: after HELO, the server may have it
 * nevertheless.
 */
export function missingAfter(refused: RefusedHello | undefined, missing: SMTPNotSupportedError): SMTPNotSupportedError {
  const { capability, delivery, message } = missing;
  if (refused === undefined || capability === undefined) return missing;
  const refusal = helloRefused(refused.reply, refused.line, delivery);
  const hint = `; the server refused EHLO, which lists its extensions: ${refusal.message}`;
  const cause = missing.cause ?? refusal;
  // A server that takes EHLO later may offer the extension then.
  const temporary = missing.temporary || refusal.temporary;
  return new SMTPNotSupportedError(message, { capability, delivery, temporary, cause, hint });
}

/** Codes that answer another command only, and which one (RFC 5321 4.2.3, RFC 4954 4). */
const ANSWERS_OTHERS: ReadonlyMap<number, string> = new Map([
  [220, "is a greeting"],
  [221, "answers QUIT"],
  [235, "answers AUTH"],
  [334, "answers AUTH"],
  [354, "answers DATA"],
]);

/** What a code answers if it cannot answer EHLO, LHLO or HELO; undefined if it can. */
export function answersAnother({ code }: Reply): string | undefined {
  return ANSWERS_OTHERS.get(code);
}

/**
 * A reply that answers another command is a late one, so that each later reply would be credited to the wrong command.
 * Drops the connection and gives the exception; `what` is what the reply answers.
 */
export function outOfStep(
  connection: Connection,
  reply: Reply,
  what: string,
  line: string,
  delivery: DeliveryOutcome | undefined,
): SMTPHeloError {
  const { code, message } = reply;
  const answer = `${code} ${message} as the answer to ${JSON.stringify(line)}`;
  const end = protocolBroken(`${answer}, which ${what}: the replies are out of step`);
  connection.drop(end);
  const hint = ` (the answer to ${JSON.stringify(line)}; this code ${what}, so the replies are out of step)`;
  return new SMTPHeloError(code, message, { temporary: true, delivery, reply, cause: end.toError({ delivery }), hint });
}

/** Replies to EHLO that say only that the server does not know the command. */
const UNKNOWN_COMMAND: ReadonlySet<number> = new Set([500, 502]);

/**
 * The exception for an EHLO that was refused and a HELO that failed, too: the first that says what is wrong, with the
 * other as its cause. An abort's reason stays as it is.
 */
export function tellingRefusal(first: SMTPHeloError, next: unknown): unknown {
  if (!(next instanceof SMTPException)) return next;
  const isUnknown = UNKNOWN_COMMAND.has(first.smtp_code);
  // The server may still accept HELO, which no reply has answered.
  if (isUnknown) first.temporary ||= next.temporary;
  const [telling, other] = isUnknown && next instanceof SMTPHeloError ? [next, first] : [first, next];
  telling.cause ??= other;
  return telling;
}
