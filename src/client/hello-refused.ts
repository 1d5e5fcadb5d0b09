/** The exceptions for an EHLO, LHLO or HELO that a server does not accept. */
import type { Reply } from "../core/reply.ts";
import { type DeliveryOutcome, SMTPException, SMTPHeloError } from "../errors.ts";
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

/**
 * A 220 answers a connection or STARTTLS, so it is a late reply to one of these, and each later reply would be credited
 * to the wrong command. Drops the connection and gives the exception.
 */
export function outOfStep(
  connection: Connection,
  reply: Reply,
  line: string,
  delivery: DeliveryOutcome | undefined,
): SMTPHeloError {
  const { code, message } = reply;
  const answer = `${code} ${message} as the answer to ${JSON.stringify(line)}`;
  const end = protocolBroken(`${answer}, which is a greeting: the replies are out of step`);
  connection.drop(end);
  const hint = ` (the answer to ${JSON.stringify(line)}; a greeting there means that the replies are out of step)`;
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
  const nextTells = next instanceof SMTPHeloError && UNKNOWN_COMMAND.has(first.smtp_code);
  const [telling, other] = nextTells ? [next, first] : [first, next];
  telling.cause ??= other;
  return telling;
}
