/** The result of an attempt, for the queue. Pure functions: they make the next state from a state and an outcome. */

import { refusedIn, replyIn, textOf } from "./error-fields.ts";
import { failureReply } from "./failure-reply.ts";
import { type HeldState, type MessageState, type OutboxMessage, recipientsLeft } from "./message.ts";
import {
  readRefused,
  readReply,
  type StoredRefused,
  type StoredReply,
  storedRefused,
  storedReply,
} from "./stored-reply.ts";
import type { Ticket, TicketAnswer } from "./ticket.ts";
import { isFinal, isPart, type RetryPolicy, retryOf, type Verdict } from "./verdict.ts";

/** The action of the queue after an attempt. */
export type Conclusion = {
  /** "defer": no attempt was made, since a budget has no room or the worker stops. */
  readonly action: "done" | "retry" | "give-up" | "hold" | "defer";
  /** Seconds until the queue hands the message out again. */
  readonly after: number;
  readonly state: MessageState;
  /** The error of the attempt, if it failed. */
  readonly error: unknown;
  /** The reply by which the server took the message. */
  readonly reply: StoredReply | undefined;
  /** Seconds for which the destination is left alone. */
  readonly slowDown: number;
};

/** The server took the message for at least one recipient; the verdict is about the others. */
export function afterDelivered(message: OutboxMessage, answer: TicketAnswer, policy: RetryPolicy): Conclusion {
  const { state } = message;
  const { refused } = answer;
  const reply = answer.outcome === "delivered" ? { code: answer.code, text: answer.text } : undefined;
  const delivery = { accepted: [], refused: readRefused(refused), reply: readReply(reply ?? NONE), replies: [] };
  const verdict = retryOf(delivery, state.attempts + 1, policy);
  const attempts = isPart(delivery) ? state.attempts : state.attempts + 1;
  const next = { ...counted(state), attempts, round: state.round + 1, putOff: withReplies(state.putOff, refused) };
  const over = verdict.action === "give-up" ? "done" : undefined;
  return { ...conclusionOf(message, verdict, next, undefined, over), reply };
}

const NONE: StoredReply = { code: 250, text: "" };

/** The server certainly took nothing. */
export function afterFailure(message: OutboxMessage, error: unknown, policy: RetryPolicy): Conclusion {
  const { state } = message;
  const verdict = retryOf(error, state.attempts + 1, policy);
  const refused = refusedIn(error);
  const reply = refused === undefined ? replyIn(error) : undefined;
  const last = reply === undefined ? state.last : storedReply(reply);
  // A reply to the message as a whole is the last one to each recipient.
  const isWhole = reply !== undefined || (refused === undefined && isFinal(error));
  const putOff = isWhole ? [] : withReplies(state.putOff, storedRefused(refused ?? {}));
  return conclusionOf(message, verdict, { ...counted(state), last, putOff }, error, undefined);
}

/** The last reply to each recipient. */
function withReplies(before: StoredRefused, now: StoredRefused): StoredRefused {
  return [...new Map([...before, ...now])];
}

/** The message has expired: the recipients that are left are given up. */
export function expired(message: OutboxMessage): Conclusion {
  const verdict: Verdict = { action: "give-up", after: 0, recipients: undefined, refused: {}, slowDown: 0 };
  const error = new Error("the message could not be delivered in time");
  return conclusionOf(message, verdict, message.state, error, undefined);
}

/** The outcome is unknown: the message waits until it expires. */
export function held(message: OutboxMessage, { at, answer }: Ticket, now: number): Conclusion {
  const reason = answer === undefined ? "in-flight" : "lost";
  const before = message.state.held;
  const since = before?.since ?? at;
  const checks = before?.reason === reason ? before.checks + 1 : 0;
  const error = new Error("the outcome is unknown: the server may have taken the message");
  const state: MessageState = { ...message.state, held: { reason, since, checks } };
  const rest = { error, reply: undefined, slowDown: 0 };
  if (now > message.expiresAt)
    return { ...rest, action: "give-up", after: 0, state: { ...state, over: "give-up", why: error.message } };
  return { ...rest, action: "hold", after: nextCheck(state.held, message.expiresAt - now), state };
}

/** Seconds until the ticket is read again: few at first, since an answer may be on its way, then more and more. */
function nextCheck(heldState: HeldState | undefined, life: number): number {
  const seconds = Math.min(3600, 5 * 2 ** Math.min(heldState?.checks ?? 0, 10));
  return Math.min(seconds, life / 1000 + 1);
}

/** No attempt was made. */
export function deferred(message: OutboxMessage, after: number, paid: readonly string[], error?: unknown): Conclusion {
  const state = { ...message.state, paid, deferred: message.state.deferred + 1 };
  return { action: "defer", after, state, error, reply: undefined, slowDown: 0 };
}

/** A message that was concluded before its worker died. */
export function repeated(message: OutboxMessage): Conclusion {
  const { state } = message;
  const error = state.why === undefined ? undefined : new Error(state.why);
  return { action: state.over ?? "done", after: 0, state, error, reply: state.last, slowDown: 0 };
}

function counted(state: MessageState): MessageState {
  return { ...state, attempts: state.attempts + 1, held: undefined, paid: [], deferred: 0 };
}

function conclusionOf(
  message: OutboxMessage,
  verdict: Verdict,
  next: MessageState,
  error: unknown,
  over: "done" | undefined,
): Conclusion {
  const { action, after, slowDown } = verdict;
  const refused = storedRefused(verdict.refused);
  const common = { error, reply: undefined, slowDown };
  if (action === "retry") {
    const left = verdict.recipients ?? unanswered(message, verdict);
    return { ...common, action, after, state: { ...next, left, failed: [...next.failed, ...refused] } };
  }
  if (action === "done") {
    return {
      ...common,
      action,
      after: 0,
      state: { ...next, left: [], failed: [...next.failed, ...refused], over: "done" },
    };
  }
  const failed = [...next.failed, ...refused, ...givenUp(message, verdict, next, error)];
  const ended = { ...next, failed, over: over ?? "give-up", why: textOf(error) } as const;
  return { ...common, action: ended.over, after: 0, state: ended };
}

/** All recipients that were not refused for good; undefined if these are all recipients. */
function unanswered(message: OutboxMessage, { refused }: Verdict): readonly string[] | undefined {
  if (Object.keys(refused).length === 0) return message.state.left;
  return recipientsLeft(message).flatMap(({ address }) => (address in refused ? [] : [address]));
}

/** The recipients that might have got it later, had there been time, each with the last reply to it. */
function givenUp(
  message: OutboxMessage,
  verdict: Verdict,
  { last, putOff }: MessageState,
  error: unknown,
): StoredRefused {
  const { recipients, refused } = verdict;
  const left = recipients ?? recipientsLeft(message).map(({ address }) => address);
  const replies = new Map(putOff);
  const otherwise = failureReply(error, last);
  return left
    .filter((address) => !(address in refused))
    .map((address) => [address, replies.get(address) ?? otherwise] as const);
}

/** The conclusion, without a next attempt behind the end of the message's life. `now` is in milliseconds since 1970. */
export function withinLife(conclusion: Conclusion, { expiresAt }: OutboxMessage, now: number): Conclusion {
  if (conclusion.action !== "retry" && conclusion.action !== "defer") return conclusion;
  const seconds = Math.max(0, (expiresAt - now) / 1000) + 1;
  return { ...conclusion, after: Math.min(conclusion.after, seconds) };
}
