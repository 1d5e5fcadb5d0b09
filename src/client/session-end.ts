/** Why a session is over, and the exception that each call that is still pending gets for it. */

import { saysPermanent } from "../core/connect-failure.ts";
import type { Reply } from "../core/reply.ts";
import { type DeliveryOutcome, SMTPServerDisconnected, SMTPTimeoutError, type TimeoutPhase } from "../errors.ts";

/** What the exception should say of the call's message. */
export type CallDetails = { readonly delivery?: DeliveryOutcome | undefined; readonly replies?: readonly Reply[] };

/** Why a session is over. Each pending call makes its own exception of it. */
export type SessionEnd = {
  /** The exception for a call that the end of the session cut off; for an abort, the signal's reason. */
  toError(details: CallDetails): unknown;
  /** True if the caller wanted it. */
  readonly wanted?: boolean;
};

/** The connection was lost or dropped. */
export function disconnected(message: string, cause?: unknown): SessionEnd {
  return { toError: (details) => new SMTPServerDisconnected(message, { ...details, ...causedBy(cause) }) };
}

/** The server did what no server does. */
export function protocolBroken(how: string, cause?: unknown): SessionEnd {
  return disconnected(`the server broke the protocol: ${how}`, cause);
}

/** The caller closed the connection. */
export function closed(message: string): SessionEnd {
  return { ...disconnected(message), wanted: true };
}

/** A timeout ran out. */
export function timedOut(phase: TimeoutPhase, seconds: number | undefined): SessionEnd {
  const message = `timed out after ${seconds} s (${phase})${ADVICE[phase] ?? ""}`;
  return { toError: (details) => new SMTPTimeoutError(phase, message, details) };
}

/** What a silent server may be a sign of. */
const ADVICE: { readonly [phase in TimeoutPhase]?: string } = {
  // A TLS server waits for the client to begin, which looks like this from a client that waits for a greeting.
  greeting: "; if this port speaks TLS from the start, use SMTP_SSL",
  // Some servers and firewalls read only the first TCP segment of a ClientHello, which ML-KEM makes longer than one.
  tls: '; some servers do not answer the large ClientHello of post-quantum key exchange: where the transport can set them (Node, Bun), try context: { groups: "X25519" }',
};

/** An AbortSignal of the caller's fired: its reason is the rejection. */
export function aborted(reason: unknown): SessionEnd {
  return { toError: () => reason };
}

/** What a call on a session that is over throws: why that ended. An abort concerned another call, so it is the cause. */
export function overBecause(end: SessionEnd, delivery: DeliveryOutcome | undefined): unknown {
  const error = end.toError({ delivery });
  if (error instanceof SMTPServerDisconnected) return error;
  return new SMTPServerDisconnected(`the session was aborted: ${textOf(error)}`, { delivery, ...causedBy(error) });
}

/** The details of an exception that has a cause: a refused certificate stays refused. */
export function causedBy(cause: unknown): { cause: unknown; temporary: boolean } {
  return { cause, temporary: !saysPermanent(cause) };
}

/** What an error says; anything can be thrown. */
export function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
