/**
 * One message's call on a session: it waits for its turn, for what has to be prepared and for the introductions, and
 * settles once. Where nothing is missing nothing is awaited: only then can its envelope leave behind the last message's
 * end.
 */
import type { Server } from "../core/plan.ts";
import { SMTPException, SMTPServerDisconnected } from "../errors.ts";
import { onAbort } from "./abort.ts";
import type { Connection } from "./connection.ts";
import type { Conversation } from "./conversation.ts";
import { lazy } from "./lazy.ts";
import type { Delivery } from "./outcome.ts";
import { disconnected, type SessionEnd, timedOut } from "./session-end.ts";
import { type Message, type MessageObserver, runTransaction } from "./transaction.ts";
import type { Call, Turns } from "./turns.ts";

/** What is to be delivered: prepared now or later, and planned when the server is known. */
export type Order<T> = {
  readonly prepared: T | Promise<T>;
  readonly plan: (prepared: T, server: Server) => Message;
  readonly signal: AbortSignal | undefined;
};

/** Who waits for the outcome. */
export type Settle = { resolve(delivery: Delivery): void; reject(error: unknown): void };

const ways = lazy(() => import("./ways.ts"));

/** Runs one message when its turn has come. */
export class DeliveryCall<T> implements Call, MessageObserver {
  readonly alone = false;
  holds = false;
  readonly #conversation: Conversation;
  readonly #turns: Turns;
  readonly #order: Order<T>;
  #settle: Settle | undefined;
  #unlink: (() => void) | undefined;
  #bound: { release(): void } | undefined;
  #connection: Connection | undefined;
  #cancelled: SessionEnd | undefined;
  #late: SessionEnd | undefined;

  constructor(conversation: Conversation, turns: Turns, order: Order<T>, settle: Settle) {
    this.#conversation = conversation;
    this.#turns = turns;
    this.#order = order;
    this.#settle = settle;
  }

  /** Waits for its turn, unless the signal says no. */
  enter(): void {
    const { signal } = this.#order;
    if (signal !== undefined) {
      let aborted = false;
      this.#unlink = onAbort(signal, (reason) => {
        aborted = true;
        this.#settle?.reject(reason);
        this.#settle = undefined;
        this.#turns.withdraw(this);
      });
      if (aborted) return;
    }
    this.#turns.enter(this);
  }

  /** The turn has come. */
  start(): void {
    try {
      const connection = this.#conversation.live("not-sent");
      this.#connection = connection;
      this.#watch(connection);
      const { prepared } = this.#order;
      if (prepared instanceof Promise || !this.#conversation.introduced) void this.#introduced(connection, prepared);
      else this.#send(connection, prepared);
    } catch (error) {
      this.reject(error);
    }
  }

  /** The next message may begin. */
  letGo(): void {
    this.#turns.letGo(this);
  }

  /** The message was delivered. */
  resolve(delivery: Delivery): void {
    this.#settled()?.resolve(delivery);
  }

  /** The message was not delivered, or nobody knows. */
  reject(error: unknown): void {
    this.#settled()?.reject(this.#explained(error));
  }

  /** A message on the same connection that is already on its way is not the one that was aborted or late. */
  #watch(connection: Connection): void {
    const { signal } = this.#order;
    this.#unlink?.();
    if (signal !== undefined) {
      const cancelled = disconnected("another call on this session was aborted");
      this.#cancelled = cancelled;
      this.#unlink = onAbort(signal, () => connection.drop(cancelled));
    }
    const { total } = this.#conversation.settings.timeouts();
    if (total === undefined) return;
    this.#late = disconnected("another delivery on this session took too long");
    this.#bound = connection.bound("total", total, this.#late);
  }

  async #introduced(connection: Connection, prepared: T | Promise<T>): Promise<void> {
    try {
      const ready = prepared instanceof Promise ? await connection.unlessEnded(prepared, "not-sent") : prepared;
      if (!this.#conversation.introduced) await this.#conversation.helloIfNeeded("not-sent");
      this.#send(connection, ready);
    } catch (error) {
      this.reject(error);
    }
  }

  #send(connection: Connection, ready: T): void {
    const { introduction, settings, pipelines } = this.#conversation;
    const message = this.#order.plan(ready, introduction);
    if (settings.pipelining === "eager" || introduction.features.limits !== undefined) {
      const sent = ways(({ sendSpecially }) => sendSpecially(this.#conversation, connection, message, this));
      if (sent instanceof Promise) sent.catch((error) => this.reject(error));
    } else runTransaction(connection, message, { protocol: settings.protocol, pipelining: pipelines }, this);
  }

  #explained(error: unknown): unknown {
    const end = this.#connection?.end;
    const { signal } = this.#order;
    if (end !== undefined && end === this.#cancelled && signal?.aborted) return signal.reason;
    if (error instanceof SMTPException) error.delivery ??= "not-sent";
    if (end === undefined || end !== this.#late || !(error instanceof SMTPServerDisconnected)) return error;
    return timedOut("total", this.#conversation.settings.timeouts().total).toError(error);
  }

  #settled(): Settle | undefined {
    const settle = this.#settle;
    if (settle === undefined) return undefined;
    this.#settle = undefined;
    this.#unlink?.();
    this.#bound?.release();
    // A session that ends with this reply ends when all that came with it was told: the next call must not begin before.
    if (this.#connection?.fault === undefined) this.#turns.end(this);
    else queueMicrotask(() => this.#turns.end(this));
    return settle;
  }
}
