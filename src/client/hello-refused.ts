/** The exceptions for an EHLO, LHLO or HELO that a server refuses. */
import type { Reply } from "../core/reply.ts";
import { type DeliveryOutcome, SMTPException, SMTPHeloError, SMTPNotSupportedError } from "../errors.ts";
import type { Connection } from "./connection.ts";
import { protocolBroken } from "./session-end.ts";

/** A refusal of `line`. The message quotes the line, because most servers object to its name. */
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

/** A refused EHLO or LHLO: the line and its reply. */
export type RefusedHello = { readonly line: string; readonly reply: Reply };

/** Adds the refusal of EHLO to the error for a missing extension: after HELO, the server may have it nevertheless. */
export function missingAfter(refused: RefusedHello | undefined, missing: SMTPNotSupportedError): SMTPNotSupportedError {
  const { capability, delivery, message } = missing;
  if (refused === undefined || capability === undefined) return missing;
  const refusal = helloRefused(refused.reply, refused.line, delivery);
  const hint = `; the server refused EHLO, which lists its extensions: ${refusal.message}`;
  const cause = missing.cause ?? refusal;
  // A server that accepts EHLO later may offer the extension then.
  const temporary = missing.temporary || refusal.temporary;
  return new SMTPNotSupportedError(message, { capability, delivery, temporary, cause, hint });
}

/** Codes that answer only another command, and which one (RFC 5321 4.2.3, RFC 4954 4). */
const ANSWERS_OTHERS: ReadonlyMap<number, string> = new Map([
  [220, "is a greeting"],
  [221, "answers QUIT"],
  [235, "answers AUTH"],
  [334, "answers AUTH"],
  [354, "answers DATA"],
]);

/** The purpose of a code that cannot answer EHLO, LHLO or HELO; undefined if it can. */
export function answersAnother({ code }: Reply): string | undefined {
  return ANSWERS_OTHERS.get(code);
}

/**
 * A reply to another command is a late one, so each later reply would be matched with the wrong command. Drops the
 * connection and returns the exception; `what` is the purpose of the reply.
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

/** Replies to EHLO that report only an unknown command. */
const UNKNOWN_COMMAND: ReadonlySet<number> = new Set([500, 502]);

/**
 * The exception if EHLO was refused and HELO failed, too: the more informative of both, with the other as its cause.
 * The reason of an abort stays unchanged.
 */
export function tellingRefusal(first: SMTPHeloError, next: unknown): unknown {
  if (!(next instanceof SMTPException)) return next;
  const isUnknown = UNKNOWN_COMMAND.has(first.smtp_code);
  // Without a reply to HELO, the server may still accept it.
  if (isUnknown) first.temporary ||= next.temporary;
  const [telling, other] = isUnknown && next instanceof SMTPHeloError ? [next, first] : [first, next];
  telling.cause ??= other;
  return telling;
}
