/**
 * One message's call on a session: it waits for its turn, for what has to be prepared and for the introductions, and
 * settles once. Where nothing is missing nothing is awaited: only then can its envelope leave behind the last message's
 * end.
 */
import type { Server } from "../core/plan.ts";
import { SMTPException, SMTPNotSupportedError, SMTPServerDisconnected } from "../errors.ts";
import { onAbort } from "./abort.ts";
import type { Connection } from "./connection.ts";
import type { Conversation } from "./conversation.ts";
import { missingAfter } from "./hello-refused.ts";
import type { Delivery } from "./outcome.ts";
import { disconnected, type SessionEnd, timedOut } from "./session-end.ts";
import { type Message, type MessageObserver, runTransaction } from "./transaction.ts";
import type { Call, Turns } from "./turns.ts";
import { sendSpecially } from "./ways.ts";

/** A message that is to be delivered, and who is told what became of it; once. */
export type Order<T = unknown> = {
  /** What the message is planned from, as soon as it is there. */
  readonly request: T | Promise<T>;
  /** Aborting it ends the delivery. */
  readonly signal: AbortSignal | undefined;
  /** The message as this server can take it; it may refuse. Called when the turn has come and the server is known. */
  plan(request: T, server: Server): Message;
  resolve(delivery: Delivery): void;
  reject(error: unknown): void;
};

/** What is called when it settles runs next but outside of what runs now; a test's fake clock may hold `queueMicrotask` back. */
const SETTLED = Promise.resolve();

/** Delivers one message when its turn has come. */
export function deliverInTurn<T>(conversation: Conversation, turns: Turns, order: Order<T>): void {
  const { signal } = order;
  let unlink: (() => void) | undefined;
  const start = (): void => {
    unlink?.();
    deliverNow(conversation, turns, call, order);
  };
  const call: Call = { alone: false, holds: false, start };
  if (signal?.aborted) return order.reject(signal.reason);
  if (signal) {
    unlink = onAbort(signal, (reason) => {
      order.reject(reason);
      turns.withdraw(call);
    });
  }
  turns.enter(call);
}

/** The turn has come. */
function deliverNow<T>(conversation: Conversation, turns: Turns, call: Call, order: Order<T>): void {
  const { request, signal } = order;
  let connection: Connection | undefined;
  let unlink: (() => void) | undefined;
  let bound: { release(): void } | undefined;
  let cancelled: SessionEnd | undefined;
  let late: SessionEnd | undefined;
  let settled = false;

  const observer: MessageObserver = {
    letGo: () => turns.letGo(call),
    resolve: (delivery) => {
      if (settle()) order.resolve(delivery);
    },
    reject: (error) => {
      if (settle("failed")) order.reject(explained(error));
    },
  };

  try {
    connection = conversation.live("not-sent");
    watch(connection);
    if (request instanceof Promise || !conversation.introduced) void introduce(connection);
    else send(connection, request);
  } catch (error) {
    observer.reject(error);
  }

  /** A message on the same connection that is already on its way is not the one that was aborted or late. */
  function watch(live: Connection): void {
    if (signal) {
      const end = disconnected("another call on this session was aborted");
      cancelled = end;
      unlink = onAbort(signal, () => live.drop(end));
    }
    const { total } = conversation.settings.timeouts();
    if (total === undefined) return;
    late = disconnected("another delivery on this session took too long");
    bound = live.bound("total", total, late);
  }

  async function introduce(live: Connection): Promise<void> {
    try {
      const ready = request instanceof Promise ? await live.unlessEnded(request, "not-sent") : request;
      if (!conversation.introduced) await conversation.helloIfNeeded("not-sent");
      send(live, ready);
    } catch (error) {
      observer.reject(error);
    }
  }

  function send(live: Connection, ready: T): void {
    const { introduction, settings, way } = conversation;
    const message = order.plan(ready, introduction);
    if (settings.pipelining === "eager" || introduction.features.limits !== undefined) {
      sendSpecially(conversation, live, message, observer);
    } else runTransaction(live, message, way, observer);
  }

  function explained(error: unknown): unknown {
    const end = connection?.end;
    if (end && end === cancelled) return signal?.reason;
    if (error instanceof SMTPException) error.delivery ??= "not-sent";
    if (error instanceof SMTPNotSupportedError) return missingAfter(conversation.introduction.refusedHello, error);
    if (!end || end !== late || !(error instanceof SMTPServerDisconnected)) return error;
    return timedOut("total", conversation.settings.timeouts().total).toError(error);
  }

  /** Ends the call, unless that was done. */
  function settle(failed?: "failed"): boolean {
    if (settled) return false;
    settled = true;
    unlink?.();
    bound?.release();
    // A session that ends with this reply ends when all that came with it was told, and one that a failure ends is dropped
    // when the failure was told: the next call must not begin before.
    if (failed || connection?.fault) void SETTLED.then(() => turns.end(call));
    else turns.end(call);
    return true;
  }
}
