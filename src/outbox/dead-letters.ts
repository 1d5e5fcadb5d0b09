/** Messages that were given up: what people see of them, and how they are sent again. */
import { FRESH, type OutboxMessage, readMessage } from "./message.ts";
import type { StoredRefused } from "./stored-reply.ts";

/** A message that was given up. */
export type DeadLetter = {
  readonly id: string;
  readonly messageId: string;
  readonly from: string;
  readonly to: readonly string[];
  readonly attempts: number;
  /** Why it was given up. */
  readonly why: string;
  /** The recipients that a server refused for good, or that got it in no attempt, each with its last reply. */
  readonly failed: StoredRefused;
  /** True if some or all may have got it: `resolve()` has to come before `redrive()`. */
  readonly unknown: boolean;
};

/** Describes a dead letter; returns undefined for a job that is no message. */
export function deadLetterOf(data: unknown, why: string): DeadLetter | undefined {
  let message: OutboxMessage;
  try {
    message = readMessage(data);
  } catch {
    return undefined;
  }
  const { id, messageId, from, to, state } = message;
  const addresses = state.left ?? to.map(({ address }) => address);
  const { attempts, failed, held } = state;
  return { id, messageId, from, to: addresses, attempts, why, failed, unknown: held !== undefined };
}

/** The message as a worker goes on with it once its outcome was found out. */
export function revived(message: OutboxMessage): OutboxMessage {
  const { state } = message;
  return { ...message, state: { ...state, over: undefined, redrives: state.redrives + 1 } };
}

/**
 * The message as it is tried again, from its first attempt on.
 * @throws {Error} if its outcome is unknown
 */
export function redriven(message: OutboxMessage, lifetime: number): OutboxMessage {
  const { state } = message;
  if (state.held !== undefined) throw new Error(`the outcome of ${message.id} is unknown: call resolve() first`);
  const left = state.left && [...new Set([...state.left, ...state.failed.map(([address]) => address)])];
  const next = { ...FRESH, round: state.round, left, redrives: state.redrives + 1 };
  return { ...message, expiresAt: Date.now() + lifetime * 1000, state: next };
}
