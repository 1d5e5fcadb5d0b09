/**
 * A session with a server: a conversation, and a queue of calls, each of which runs undisturbed. The facade gives it
 * Python's names; a pool would own several.
 */
import type { Server } from "../core/plan.ts";
import type { Reply } from "../core/reply.ts";
import { SMTPConnectError, SMTPException, SMTPServerDisconnected } from "../errors.ts";
import { onAbort } from "./abort.ts";
import type { Connection } from "./connection.ts";
import { Conversation, type SessionSettings } from "./conversation.ts";
import { lazy } from "./lazy.ts";
import type { Target } from "./open.ts";
import type { Delivery } from "./outcome.ts";
import { disconnected, timedOut } from "./session-end.ts";
import type { Content } from "./source.ts";
import { type Message, Transaction } from "./transaction.ts";
import { Turns } from "./turns.ts";

/** A session that may be connected, lost, and connected again. */
export class Session {
  /** The steps that calls are made of. */
  readonly conversation: Conversation;
  readonly #turns = new Turns();

  constructor(settings: SessionSettings) {
    this.conversation = new Conversation(settings);
  }

  /** Runs `task` as one call, undisturbed: after all calls before it, and before all after it. */
  alone<T>(task: (conversation: Conversation) => Promise<T>): Promise<T> {
    this.#checkReentry();
    const { conversation } = this;
    const { closings } = conversation;
    return this.#turns.alone(async () => {
      if (conversation.closings === closings) return task(conversation);
      throw new SMTPServerDisconnected("close() was called while this call waited for its turn");
    });
  }

  /** Connects and demands the greeting 220. What goes wrong is thrown here, and once more by the next call. */
  open(resolveTarget: () => Promise<Target>): Promise<Reply> {
    return this.alone(async (conversation) => {
      try {
        const greeting = await conversation.connect(resolveTarget);
        if (greeting.code === 220) return greeting;
        throw new SMTPConnectError(greeting.code, greeting.message, { reply: greeting });
      } catch (error) {
        await conversation.connection?.close();
        conversation.openFailure = { error };
        throw error;
      }
    });
  }

  /**
   * Delivers one message. `plan` is called when the turn has come, the message is prepared and the server is known;
   * it may refuse.
   */
  deliver<T>(
    prepared: T | Promise<T>,
    plan: (prepared: T, server: Server) => Message,
    signal: AbortSignal | undefined,
  ): Promise<Delivery> {
    this.#checkReentry();
    const { conversation } = this;
    if (prepared instanceof Promise) prepared.catch(() => {});
    const task = async (letGo: () => void): Promise<Delivery> => {
      const connection = conversation.live("not-sent");
      const { total } = conversation.settings.timeouts();
      // A message on the same connection that is already on its way is not the one that was aborted or late.
      const cancelled = disconnected("another call on this session was aborted");
      const late = disconnected("another delivery on this session took too long");
      const bound = connection.bound("total", total, late);
      const unlink = onAbort(signal, () => connection.drop(cancelled));
      try {
        // Nothing is awaited where nothing is missing: only then can this envelope leave behind the last message's end.
        const ready = prepared instanceof Promise ? await connection.unlessEnded(prepared, "not-sent") : prepared;
        if (!conversation.introduced) await conversation.helloIfNeeded("not-sent");
        return await this.#send(connection, plan(ready, conversation.introduction), letGo);
      } catch (error) {
        if (connection.end === cancelled && signal?.aborted) throw signal.reason;
        if (error instanceof SMTPException) error.delivery ??= "not-sent";
        if (connection.end !== late || !(error instanceof SMTPServerDisconnected)) throw error;
        throw timedOut("total", total).toError(error);
      } finally {
        unlink();
        bound.release();
      }
    };
    return this.#turns.shared(task, signal);
  }

  #send(connection: Connection, message: Message, letGo: () => void): Delivery | Promise<Delivery> {
    const { settings, pipelines } = this.conversation;
    const { protocol } = settings;
    if (pipelines && settings.pipelining === "eager" && message.plan.verb === "BDAT" && isSmall(message.content)) {
      return eagerly(({ deliverEagerly }) => deliverEagerly(connection, message, { protocol }, letGo));
    }
    return new Transaction(connection, message, { protocol, pipelining: pipelines }).run(letGo);
  }

  #checkReentry(): void {
    if (this.conversation.connection?.callingOut !== true) return;
    throw new TypeError("a callback must not call its own session: it would wait for itself");
  }
}

const eagerly = lazy(() => import("./eager.ts"));

/** Larger messages than this, and streams, do not go out before their envelope was answered. */
function isSmall({ octets }: Content): boolean {
  return octets !== undefined && octets <= 262_144;
}
