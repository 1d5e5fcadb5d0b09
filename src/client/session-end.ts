/** The reason for a session's end, and the exception that each pending call gets for it. */

import { saysPermanent } from "../core/connect-failure.ts";
import type { Reply } from "../core/reply.ts";
import { type DeliveryOutcome, SMTPServerDisconnected, SMTPTimeoutError, type TimeoutPhase } from "../errors.ts";

/** Details of the exception about the call's message. */
export type CallDetails = { readonly delivery?: DeliveryOutcome | undefined; readonly replies?: readonly Reply[] };

/** The reason for a session's end. Each pending call makes its own exception from it. */
export type SessionEnd = {
  /** The exception for a call that the end of the session cut off; for an abort, the signal's reason. */
  toError(details: CallDetails): unknown;
  /** True if the caller requested it. */
  readonly wanted?: boolean;
};

/** The connection was lost or dropped. */
export function disconnected(message: string, cause?: unknown): SessionEnd {
  return { toError: (details) => new SMTPServerDisconnected(message, { ...details, ...causedBy(cause) }) };
}

/** The server violated the protocol. */
export function protocolBroken(how: string, cause?: unknown): SessionEnd {
  return disconnected(`the server broke the protocol: ${how}`, cause);
}

/** The caller closed the connection. */
export function closed(message: string): SessionEnd {
  return { ...disconnected(message), wanted: true };
}

/** A timeout expired. */
export function timedOut(phase: TimeoutPhase, seconds: number | undefined): SessionEnd {
  const message = `timed out after ${seconds} s (${phase})${ADVICE[phase] ?? ""}`;
  return { toError: (details) => new SMTPTimeoutError(phase, message, details) };
}

/** Possible causes of a silent server. */
const ADVICE: { readonly [phase in TimeoutPhase]?: string } = {
  // A TLS server waits for the client, which a client that waits for a greeting cannot distinguish from this.
  greeting: "; if this port speaks TLS from the start, use SMTP_SSL",
  // Some servers and firewalls read only the first TCP segment of a ClientHello, but ML-KEM makes it longer.
  tls: '; some servers do not answer the large ClientHello of post-quantum key exchange: where the transport can set them (Node, Bun), try context: { groups: "X25519" }',
};

/** The caller's AbortSignal fired: its reason is the rejection. */
export function aborted(reason: unknown): SessionEnd {
  return { toError: () => reason };
}

/** The error of a call after the session's end. An abort belonged to another call, so it is the cause. */
export function overBecause(end: SessionEnd, delivery: DeliveryOutcome | undefined): unknown {
  const error = end.toError({ delivery });
  if (error instanceof SMTPServerDisconnected) return error;
  return new SMTPServerDisconnected(`the session was aborted: ${textOf(error)}`, { delivery, ...causedBy(error) });
}

/** The details of an exception with a cause: a refused certificate is a permanent failure. */
export function causedBy(cause: unknown): { cause: unknown; temporary: boolean } {
  return { cause, temporary: !saysPermanent(cause) };
}

/** The text of an error, which may be any value. */
export function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
