/** Forwards a message and stores it in a folder, before the sender is answered. */
import type { AnswerContext, Reaction, TestMessage } from "../../testing/index.ts";
import { reasonOf } from "../files.ts";
import type { Forwarder } from "./forward.ts";
import type { Script } from "./script.ts";
import type { MessageStore } from "./store.ts";

/** Where messages go. */
export type Destinations = {
  readonly store: MessageStore | undefined;
  readonly forwarder: Forwarder | undefined;
  /** The largest message that is accepted, in bytes; 0: any. */
  readonly sizeLimit: number;
  /** Receives failures that cannot be reported to the sender. */
  readonly onError: (error: unknown) => void;
};

/** Answers the end of messages: by a script, and by the result of forwarding and storing. */
export class Disposal {
  readonly #script: Script;
  readonly #destinations: Destinations;
  /** In LMTP a message is answered once for each recipient, and stored once. */
  readonly #kept = new WeakMap<TestMessage, Promise<unknown>>();

  constructor(script: Script, destinations: Destinations) {
    this.#script = script;
    this.#destinations = destinations;
  }

  /** The answer to a message, or for a recipient of one. */
  async answer(context: AnswerContext): Promise<Reaction | undefined> {
    const reaction = this.#script("message", context);
    const asked = typeof reaction === "string" ? { reply: reaction } : (reaction ?? {});
    const { message } = context;
    if (message === undefined || isRefusal(asked.reply) || this.#isTooBig(message)) return reaction;
    const reply = await this.#dispose(message, context.address);
    // A scripted fault in place of the answer applies whatever the result is.
    if (reply === undefined || (asked.end !== undefined && asked.reply === undefined)) return reaction;
    return isRefusal(reply) || asked.reply === undefined ? { ...asked, reply } : reaction;
  }

  /** Forwards a message, then stores it: a message that the other server accepted must not be refused here. */
  async #dispose(message: TestMessage, recipient: string | undefined): Promise<string | undefined> {
    const { forwarder, onError } = this.#destinations;
    const reply = await forwarder?.forward(message, recipient === undefined ? message.to : [recipient]);
    if (isRefusal(reply)) return reply;
    const error = await this.#keep(message);
    if (error === undefined) return reply;
    if (reply === undefined) return `451 4.3.0 cannot be stored: ${reasonOf(error)}`;
    onError(new Error(`a message was passed on and cannot be stored: ${reasonOf(error)}`));
    return reply;
  }

  /** The error of storing the message, if any. */
  #keep(message: TestMessage): Promise<unknown> {
    const { store } = this.#destinations;
    if (store === undefined) return Promise.resolve(undefined);
    const keeping =
      this.#kept.get(message) ??
      store.save(message).then(
        () => undefined,
        (error: unknown) => error,
      );
    this.#kept.set(message, keeping);
    return keeping;
  }

  /** The server refuses such a message by itself. */
  #isTooBig({ content }: TestMessage): boolean {
    const { sizeLimit } = this.#destinations;
    return sizeLimit > 0 && content.length > sizeLimit;
  }
}

function isRefusal(reply: string | undefined): boolean {
  return reply?.startsWith("2") === false;
}
