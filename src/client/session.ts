/**
 * A session with a server: a conversation, and a queue of calls, each of which runs undisturbed. The facade gives it
 * Python's names; a pool would own several.
 */
import type { Reply } from "../core/reply.ts";
import { SMTPConnectError, SMTPServerDisconnected } from "../errors.ts";
import { type Conversation, makeConversation, type SessionSettings } from "./conversation.ts";
import { deliverInTurn, type Order } from "./delivery-call.ts";
import type { Target } from "./open.ts";
import { quit } from "./quit.ts";
import { makeTurns } from "./turns.ts";

/** A session that may be connected, lost, and connected again. */
export class Session {
  /** The steps that calls are made of. */
  readonly conversation: Conversation;
  readonly #turns = makeTurns();

  constructor(settings: SessionSettings) {
    this.conversation = makeConversation(settings);
  }

  /** Runs `task` as one call, undisturbed: after all calls before it, and before all after it. */
  alone<T>(task: (conversation: Conversation) => Promise<T>): Promise<T> {
    if (this.#isReentered) return Promise.reject(reentry());
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
        conversation.connectFailure = { error, thrown: false };
        throw error;
      }
    });
  }

  /** Sends QUIT when all calls before it are settled, and ends the session; `quit()` of the facade tells the rest. */
  quit(): Promise<Reply> {
    if (this.#isReentered) return Promise.reject(reentry());
    return this.#turns.alone(() => quit(this.conversation));
  }

  /** Delivers one message; the order is told. */
  deliver<T>(order: Order<T>): void {
    if (this.#isReentered) throw reentry();
    if (order.request instanceof Promise) order.request.catch(() => {});
    deliverInTurn(this.conversation, this.#turns, order);
  }

  get #isReentered(): boolean {
    return this.conversation.connection?.callingOut === true;
  }
}

function reentry(): TypeError {
  return new TypeError("a callback must not call its own session: it would wait for itself");
}
