/**
 * One message on a connection: MAIL, RCPT, then DATA or BDAT, and what became of it. Lock-step and pipelining differ
 * only in how far `#advance()` goes. Each way out settles the outcome exactly once.
 */
import { Command, type ReplyReceiver } from "../core/command.ts";
import type { Plan } from "../core/plan.ts";
import { isPositive, type RawReply } from "../core/reply.ts";
import { SMTPException } from "../errors.ts";
import type { Connection } from "./connection.ts";
import { DataTransfer, type TransferObserver } from "./data-transfer.ts";
import { lazy } from "./lazy.ts";
import { Answers, type Delivery, type Parties } from "./outcome.ts";
import { disconnected } from "./session-end.ts";
import type { Content } from "./source.ts";

/** A message, checked and planned. */
export type Message = Parties & {
  readonly plan: Plan;
  readonly content: Content;
};

/** How the transaction goes about it. */
export type TransactionSettings = { readonly pipelining: boolean; readonly protocol: "smtp" | "lmtp" };

/** Who is told of a message: that the next one may begin, and, once or more often, of its outcome; the first one counts. */
export type MessageObserver = {
  letGo(): void;
  resolve(delivery: Delivery): void;
  reject(error: unknown): void;
};

const chunking = lazy(() => import("./chunk-transfer.ts"));

/** Runs one message. */
export class Transaction implements ReplyReceiver, TransferObserver {
  readonly #connection: Connection;
  readonly #message: Message;
  readonly #settings: TransactionSettings;
  readonly #observer: MessageObserver;
  readonly #commands: Command[] = [];
  readonly #answers: Answers;
  readonly #data: DataTransfer | undefined;
  #sent = 0;
  #answered = 0;

  constructor(connection: Connection, message: Message, settings: TransactionSettings, observer: MessageObserver) {
    this.#connection = connection;
    this.#message = message;
    this.#settings = settings;
    this.#observer = observer;
    this.#answers = new Answers(message, settings.protocol);
    if (connection.dialogue.transactionOpen) this.#commands.push(Command.simple("RSET"));
    this.#commands.push(message.plan.mail, ...message.plan.recipients);
    if (message.plan.verb === "DATA") {
      this.#data = new DataTransfer(connection, message.content, this);
      this.#commands.push(Command.data());
    }
    for (const command of this.#commands) command.receiver = this;
  }

  /** Sends the message; the observer gets the exceptions that `sendmail` documents, each with `delivery`. */
  run(): void {
    this.#advance();
  }

  /** A reply to one of the envelope's commands. */
  replied(command: Command, reply: RawReply): void {
    this.#answered++;
    this.#answers.add(command, reply);
    if (command.verb === "RSET" && !isPositive(reply.code)) {
      this.#connection.drop(disconnected(`RSET was refused: ${reply.code} ${reply.message}`));
    }
    // The connection is dropped next; nothing may be awaited that would hear of it.
    if (reply.code === 421 || this.#connection.end !== undefined) return this.lost();
    if (this.#sent < this.#commands.length && this.#answers.nobodyLeft) this.#commands.length = this.#sent;
    if (this.#sent < this.#commands.length) this.#advance();
    else if (this.#answered === this.#sent) this.#envelopeAnswered();
  }

  /** The session ended before the reply to one of the envelope's commands. */
  lost(): void {
    this.failed(this.#answers.refusal() ?? this.#connection.end?.toError({ delivery: "not-sent" }));
  }

  /** The content and its end are on their way: the next message may begin. */
  ended(): void {
    if (this.#settings.pipelining && !this.#answers.full) this.#observer.letGo();
  }

  /** All replies to the content are here. */
  complete(finalReplies: readonly RawReply[]): void {
    const outcome = this.#answers.outcome(finalReplies);
    if (outcome instanceof SMTPException) this.failed(outcome);
    else if (this.#answers.full) this.#sendRest(outcome);
    else this.#observer.resolve(outcome);
  }

  /** The message was not delivered, or nobody knows. */
  failed(error: unknown): void {
    this.#observer.reject(error);
  }

  #sendRest(delivery: Delivery): void {
    const send = (rest: Message, observer: MessageObserver): void =>
      new Transaction(this.#connection, rest, this.#settings, observer).run();
    import("./portions.ts").then(
      ({ sendRest }) => sendRest(this.#message, delivery, this.#answers.rcpt, this.#observer, send),
      () => this.#observer.resolve(delivery),
    );
  }

  #advance(): void {
    this.#connection.checkIdle();
    if (this.#connection.end !== undefined) return this.lost();
    const { dialogue } = this.#connection;
    while (this.#sent < this.#commands.length && (this.#settings.pipelining || dialogue.owed === 0)) {
      const command = this.#commands[this.#sent++];
      if (command?.verb === "DATA" && this.#data !== undefined)
        this.#connection.sendData(command, this.#data.endCommand);
      else if (command !== undefined) this.#connection.send(command);
    }
    this.#connection.flush();
  }

  #envelopeAnswered(): void {
    if (this.#settings.pipelining) this.#connection.groups = "proven";
    const refusal = this.#answers.refusal();
    if (refusal !== undefined) {
      if (this.#data !== undefined && this.#answers.dataAwaited) this.#endEmpty(this.#data, refusal);
      else void this.#resetThenFail(refusal);
    } else if (this.#data !== undefined) this.#data.start(this.#answers.expected, this.#message.plan.sevenBitOnly);
    else void this.#sendChunks();
  }

  async #sendChunks(): Promise<void> {
    const { content, plan } = this.#message;
    const settings = { ...plan, pipelining: this.#settings.pipelining, expected: this.#answers.expected };
    try {
      await chunking(({ ChunkTransfer }) => new ChunkTransfer(this.#connection, content, this, settings).start());
    } catch (error) {
      const failure = new SMTPException("the message cannot be sent in chunks", { cause: error, delivery: "not-sent" });
      void this.#resetThenFail(failure);
    }
  }

  /** 354 although nobody is left to receive: an empty message ends it, its reply means nothing (RFC 2920 3.1). */
  #endEmpty(data: DataTransfer, refusal: SMTPException): void {
    if (this.#settings.protocol === "lmtp") {
      this.failed(refusal);
      return this.#connection.drop(disconnected("the server asked for data that nobody would receive"));
    }
    const fail = (): void => this.failed(refusal);
    data.endCommand.receiver = { replied: fail, lost: fail };
    this.#connection.output.addText(".\r\n");
    this.#connection.dialogue.bodySent();
    this.#connection.flush();
  }

  /** No accepted recipient of a failed transaction may remain for the next one (RFC 5321 4.1.1.5). */
  async #resetThenFail(refusal: SMTPException): Promise<void> {
    await reset(this.#connection);
    this.failed(refusal);
  }
}

/** Says RSET; a connection whose transaction cannot be reset is dropped. */
export async function reset(connection: Connection): Promise<void> {
  const reply = await connection.request(Command.simple("RSET")).catch(() => undefined);
  if (reply === undefined || !isPositive(reply.code)) {
    connection.drop(disconnected("the transaction that failed could not be reset"));
  }
}
