/**
 * A client of one server: a session, and a queue of calls that run one by one. The facade adds Python's names; a pool
 * owns several.
 */
import type { Reply } from "../core/reply.ts";
import { SMTPServerDisconnected } from "../errors.ts";
import { CallQueue, type CallSource } from "./call-queue.ts";
import type { MessageDelivery } from "./delivery.ts";
import type { Target } from "./open.ts";
import { quit } from "./quit.ts";
import { greetingRefused, Session, type SessionSettings } from "./session.ts";

/** One session and its queue of calls. */
export class Client {
  /** The session; calls consist of its steps. */
  readonly session: Session;
  readonly #calls: CallQueue;

  /** Gets a message from `source` when the turn is free and no call waits; the source attaches it here. */
  constructor(settings: SessionSettings, source?: CallSource) {
    this.session = new Session(settings);
    this.#calls = new CallQueue(source);
  }

  /** Runs `task` exclusively: after all calls before it, and before all after it. */
  exclusively<T>(task: (session: Session) => Promise<T>): Promise<T> {
    if (this.#isReentered) return Promise.reject(reentry());
    const { session } = this;
    const { closeCount } = session;
    return this.#calls.alone(async () => {
      if (session.closeCount === closeCount) return task(session);
      throw new SMTPServerDisconnected("close() was called while this call waited for its turn");
    });
  }

  /** Connects and requires the greeting 220. Throws a failure here, and once more from the next call. */
  open(resolveTarget: () => Promise<Target>): Promise<Reply> {
    return this.exclusively(async (session) => {
      try {
        const greeting = await session.connect(resolveTarget);
        if (greeting.code === 220) return greeting;
        throw greetingRefused(greeting);
      } catch (error) {
        await session.connection?.close();
        session.connectError = { error, thrown: false };
        throw error;
      }
    });
  }

  /** Sends QUIT when all calls before it are settled, and ends the session. */
  quit(): Promise<Reply> {
    if (this.#isReentered) return Promise.reject(reentry());
    return this.#calls.alone(() => quit(this.session));
  }

  /** Delivers one message, and reports the outcome to it. */
  deliver(delivery: MessageDelivery): void {
    if (this.#isReentered) throw reentry();
    delivery.enter(this.session, this.#calls);
  }

  /** True if a message of the source may begin: there is a connection, and no caller code runs on it. */
  get takesMessages(): boolean {
    const { connection } = this.session;
    return connection !== undefined && connection.end === undefined && !connection.isInCallerCode;
  }

  /** Attaches a message of the source to this session. */
  attach(delivery: MessageDelivery): void {
    delivery.attach(this.session, this.#calls);
  }

  /** Starts a message of the source, if one may begin now. */
  advance(): void {
    this.#calls.advance();
  }

  get #isReentered(): boolean {
    return this.session.connection?.isInCallerCode === true;
  }
}

function reentry(): TypeError {
  return new TypeError("a callback must not call its own session: it would wait for itself");
}
