/**
 * One message's call on a session: it waits for its turn, for asynchronous preparation and for EHLO, and settles once.
 * It awaits nothing if nothing is missing: only then can its envelope follow the end of the message before it.
 */

import { ObservedBody } from "../core/observed-body.ts";
import { type EnvelopeNeeds, planMessage, planPlain } from "../core/plan.ts";
import { SMTPException, SMTPNotSupportedError, SMTPServerDisconnected } from "../errors.ts";
import { onAbort } from "./abort.ts";
import { Call, type CallQueue } from "./call-queue.ts";
import { callerContext } from "./caller-context.ts";
import type { Connection } from "./connection.ts";
import type { Content } from "./content.ts";
import { contentInGroup, GroupedTransaction } from "./grouped-transaction.ts";
import { missingAfter } from "./hello-refused.ts";
import { sendInOneFlight } from "./one-flight.ts";
import type { Delivery, Parties } from "./outcome.ts";
import { type SendBatch, sendWithinLimits } from "./recipient-batches.ts";
import type { Session } from "./session.ts";
import { disconnected, type SessionEnd, timedOut } from "./session-end.ts";
import { type PlannedMessage, Transaction, type TransactionObserver } from "./transaction.ts";

/** A checked message and envelope. */
export type MessageRequest = Parties & {
  readonly content: Content;
  /** The needs to plan for; undefined for plain paths without parameters, which is the common case. */
  readonly needs: EnvelopeNeeds | undefined;
};

/** Defers work to a microtask. Fake timers in tests may hold `queueMicrotask` back. */
const SETTLED = Promise.resolve();

/** Larger messages (in bytes), and streams, are not sent before the replies to their envelope. */
const MOST_IN_ONE_FLIGHT = 262_144;

/** A message to deliver. It links itself to its neighbours in a queue. */
export abstract class MessageDelivery extends Call implements TransactionObserver {
  readonly alone = false;
  /** Aborting it ends the delivery. */
  readonly signal: AbortSignal | undefined;
  /** The message, once it is prepared. */
  request: MessageRequest | Promise<MessageRequest>;
  #session: Session | undefined;
  #calls: CallQueue | undefined;
  #connection: Connection | undefined;
  /** Removes the listener on the signal while the message waits. */
  #unlink: (() => void) | undefined;
  /** The signal and the deadline of a delivery that is under way. */
  #watch: Watch | undefined;
  #settled = false;

  constructor(request: MessageRequest | Promise<MessageRequest>, signal: AbortSignal | undefined) {
    super();
    this.request = request;
    this.signal = signal;
    if (request instanceof Promise) request.catch(() => {});
  }

  /** Called when the message was delivered. */
  protected abstract delivered(outcome: Delivery): void;

  /** Called if the message was not delivered, or the outcome is unknown. */
  protected abstract failed(error: unknown): void;

  /** Waits for the turn on a session. A settled message may use another session later. */
  enter(session: Session, calls: CallQueue): void {
    const { signal } = this;
    this.attach(session, calls);
    if (signal?.aborted) return this.failed(signal.reason);
    if (signal !== undefined) {
      this.#unlink = onAbort(signal, (reason) => {
        this.failed(reason);
        calls.cancel(this);
      });
    }
    calls.enqueue(this);
    if (!this.active && session.settings.events.traceEnabled !== undefined) this.within ??= callerContext();
  }

  /** Sets the session of the message, whose queue has started it or will start it. */
  attach(session: Session, calls: CallQueue): void {
    this.#session = session;
    this.#calls = calls;
    this.#connection = undefined;
    this.#watch = undefined;
    this.#settled = false;
  }

  /** Called when the message has the turn. */
  start(): void {
    this.#unlink?.();
    this.#unlink = undefined;
    const session = this.#session;
    if (session === undefined) return;
    try {
      const connection = session.requireConnection("not-sent");
      const { request } = this;
      this.#connection = connection;
      this.#watchFor(session, connection);
      if (request instanceof Promise || !session.greeted) void this.#prepare(session, connection, request);
      else this.begin(session, connection, request);
    } catch (error) {
      this.reject(error);
    }
  }

  /** Lets the next message begin. */
  release(): void {
    this.#calls?.release(this);
  }

  /** Settles after the server accepted the message for a recipient. */
  resolve(outcome: Delivery): void {
    if (this.#settle(false)) this.delivered(outcome);
  }

  /** Settles after a failed transaction, or without one. */
  reject(error: unknown): void {
    if (this.#settle(true)) this.failed(this.#explained(error));
  }

  /** Plans the message for this server, and sends it. */
  protected begin(session: Session, connection: Connection, request: MessageRequest): void {
    const { serverInfo, settings } = session;
    const { from, to, content, needs } = request;
    if (content.bytes === undefined && content.source instanceof ObservedBody) content.source.begins(serverInfo);
    const plan =
      needs === undefined
        ? planPlain(from, to, content, serverInfo, settings.policy)
        : planMessage(needs, content, serverInfo, settings.policy);
    this.send(session, connection, { from, to, content, plan });
  }

  /** Sends the message: in batches if the server has LIMITS, in one flight if requested and possible. */
  protected send(session: Session, connection: Connection, message: PlannedMessage): void {
    const { limits } = session.serverInfo.features;
    if (limits === undefined) return sendWhole(session, connection, message, this);
    const sendBatch: SendBatch = (batch, observer) => sendWhole(session, connection, batch, observer);
    sendWithinLimits(limits, message, this, sendBatch);
  }

  async #prepare(
    session: Session,
    connection: Connection,
    request: MessageRequest | Promise<MessageRequest>,
  ): Promise<void> {
    try {
      const ready = request instanceof Promise ? await connection.orEnded(request, "not-sent") : request;
      if (!session.greeted) await session.helloIfNeeded("not-sent");
      if (this.within === undefined) this.begin(session, connection, ready);
      else this.within(() => this.begin(session, connection, ready));
    } catch (error) {
      this.reject(error);
    }
  }

  #watchFor(session: Session, connection: Connection): void {
    const { total } = session.settings.timeouts();
    if (this.signal !== undefined || total !== undefined) this.#watch = new Watch(connection, this.signal, total);
  }

  #explained(error: unknown): unknown {
    const end = this.#connection?.end;
    const watch = this.#watch;
    if (end !== undefined && end === watch?.cancelled) return this.signal?.reason;
    if (error instanceof SMTPException) error.delivery ??= "not-sent";
    if (error instanceof SMTPNotSupportedError) return missingAfter(this.#session?.serverInfo.refusedHello, error);
    if (end === undefined || end !== watch?.late || !(error instanceof SMTPServerDisconnected)) return error;
    return timedOut("total", this.#session?.settings.timeouts().total).toError(error);
  }

  /** Ends the call, once. */
  #settle(failed: boolean): boolean {
    if (this.#settled) return false;
    this.#settled = true;
    this.#watch?.end();
    // The session may end after the replies that arrived with this one, or after the failure is reported: the next call
    // must not begin before.
    const calls = this.#calls;
    if (failed || this.#connection?.fault !== undefined) void SETTLED.then(() => calls?.end(this));
    else calls?.end(this);
    return true;
  }
}

/** The caller's signal and the total timeout, which may end a delivery that is under way. */
class Watch {
  /** The session's end if the signal fires. Other messages under way on the session were not aborted. */
  readonly cancelled: SessionEnd | undefined;
  /** The same for the deadline. */
  readonly late: SessionEnd | undefined;
  readonly #unlink: (() => void) | undefined;
  readonly #deadline: { release(): void } | undefined;

  constructor(connection: Connection, signal: AbortSignal | undefined, total: number | undefined) {
    if (signal !== undefined) {
      const cancelled = disconnected("another call on this session was aborted");
      this.cancelled = cancelled;
      this.#unlink = onAbort(signal, () => connection.drop(cancelled));
    }
    if (total !== undefined) {
      this.late = disconnected("another delivery on this session took too long");
      this.#deadline = connection.setDeadline("total", total, this.late);
    }
  }

  end(): void {
    this.#unlink?.();
    this.#deadline?.release();
  }
}

function sendWhole(
  { settings, transactionSettings }: Session,
  connection: Connection,
  message: PlannedMessage,
  observer: TransactionObserver,
): void {
  const { content, plan } = message;
  const { pipelining, protocol } = transactionSettings;
  const isSmall = content.octets !== undefined && content.octets <= MOST_IN_ONE_FLIGHT;
  const group = pipelining && protocol === "smtp" ? contentInGroup(connection, message) : undefined;
  if (group !== undefined) new GroupedTransaction(connection, message, group, observer).start();
  else if (settings.pipelining === "eager" && pipelining && plan.verb === "BDAT" && isSmall) {
    sendInOneFlight(connection, message, protocol, observer);
  } else new Transaction(connection, message, transactionSettings, observer).start();
}
