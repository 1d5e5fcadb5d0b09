/**
 * One message on a connection: MAIL, RCPT, then DATA or BDAT, and what became of it. Lock-step and pipelining differ
 * only in how far `#advance()` goes. Each way out settles the outcome exactly once.
 */
import { Command, type ReplyReceiver } from "../core/command.ts";
import type { Plan } from "../core/plan.ts";
import { isPositive, type RawReply } from "../core/reply.ts";
import { SMTPException } from "../errors.ts";
import { BdatTransfer } from "./bdat-transfer.ts";
import type { Connection } from "./connection.ts";
import type { Content } from "./content.ts";
import type { TransferObserver } from "./content-transfer.ts";
import { DataTransfer } from "./data-transfer.ts";
import { type Delivery, type Parties, TransactionReplies } from "./outcome.ts";
import { sendRest } from "./recipient-batches.ts";
import { disconnected } from "./session-end.ts";

/** A message, checked and planned. */
export type PlannedMessage = Parties & {
  readonly plan: Plan;
  readonly content: Content;
};

/** How transactions go on a session. */
export type TransactionSettings = { readonly pipelining: boolean; readonly protocol: "smtp" | "lmtp" };

/** Learns that the next message may begin, and, once or more often, the outcome; the first one counts. */
export type TransactionObserver = {
  release(): void;
  resolve(delivery: Delivery): void;
  reject(error: unknown): void;
};

/** Sends one message; the observer gets the exceptions that `sendmail` documents, each with `delivery`. */
export class Transaction implements ReplyReceiver, TransferObserver {
  readonly #connection: Connection;
  readonly #message: PlannedMessage;
  readonly #settings: TransactionSettings;
  readonly #observer: TransactionObserver;
  readonly #replies: TransactionReplies;
  readonly #data: DataTransfer | undefined;
  /** The envelope's commands: RSET where one is needed, MAIL, RCPT, and DATA unless the content goes by BDAT. */
  readonly #commands: Command[];
  #sent = 0;
  #answered = 0;

  constructor(
    connection: Connection,
    message: PlannedMessage,
    settings: TransactionSettings,
    observer: TransactionObserver,
  ) {
    this.#connection = connection;
    this.#message = message;
    this.#settings = settings;
    this.#observer = observer;
    this.#replies = new TransactionReplies(message, settings.protocol);
    this.#data = message.plan.verb === "DATA" ? new DataTransfer(connection, message.content, this) : undefined;
    this.#commands = this.#envelope();
  }

  /** Sends the envelope, as far as it may go without a reply. */
  start(): void {
    this.#advance();
  }

  /** A reply to one of the envelope's commands. */
  replied({ verb }: Command, reply: RawReply): void {
    const connection = this.#connection;
    const commands = this.#commands;
    this.#answered++;
    this.#replies.add(verb, reply);
    if (verb === "RSET" && !isPositive(reply.code)) {
      connection.drop(disconnected(`RSET was refused: ${reply.code} ${reply.message}`));
    }
    // The connection is dropped next; nothing may be awaited that would hear of it.
    if (reply.code === 421 || connection.end !== undefined) return this.lost();
    if (this.#sent < commands.length && this.#replies.isHopeless) commands.length = this.#sent;
    if (this.#sent < commands.length) this.#advance();
    else if (this.#answered === this.#sent) this.#envelopeAnswered();
  }

  /** The session ended before the reply to one of the envelope's commands. */
  lost(): void {
    this.#observer.reject(this.#replies.refusal() ?? this.#connection.end?.toError({ delivery: "not-sent" }));
  }

  /** Behind BDAT LAST a MAIL that does not wait for the reply would need a RSET before it, which servers count. */
  ended(): void {
    if (this.#settings.pipelining && this.#data !== undefined && !this.#replies.hasFull) this.#observer.release();
  }

  /** All replies to the message are here. */
  complete(finalReplies: readonly RawReply[]): void {
    const outcome = this.#replies.outcome(finalReplies);
    if (outcome instanceof SMTPException) this.#observer.reject(outcome);
    else if (this.#replies.hasFull) this.#sendToOthers(outcome);
    else this.#observer.resolve(outcome);
  }

  /** The message was not delivered, or nobody knows. */
  undelivered(error: unknown): void {
    this.#observer.reject(error);
  }

  #envelope(): Command[] {
    const { mail, recipients } = this.#message.plan;
    const commands: Command[] = [];
    if (this.#connection.dialogue.transactionOpen) commands.push(new Command("RSET", "RSET", "command", this));
    commands.push(new Command("MAIL", mail, "envelope", this));
    for (const recipient of recipients) commands.push(new Command("RCPT", recipient, "envelope", this));
    if (this.#data !== undefined) commands.push(new Command("DATA", "DATA", "dataInit", this));
    return commands;
  }

  #advance(): void {
    const connection = this.#connection;
    const commands = this.#commands;
    connection.rejectUnsolicited();
    if (connection.end !== undefined) return this.lost();
    const end = this.#data?.endCommand;
    if (this.#settings.pipelining) {
      connection.sendGroup(commands, this.#sent, end);
      this.#sent = commands.length;
    } else if (connection.dialogue.pendingReplies === 0) {
      const command = commands[this.#sent++];
      if (command !== undefined) connection.send(command, command.verb === "DATA" ? end : undefined);
    }
    connection.flush();
  }

  #envelopeAnswered(): void {
    if (this.#settings.pipelining) this.#connection.pipeliningTrust = "proven";
    const refusal = this.#replies.refusal();
    if (refusal === undefined) this.#sendContent();
    else if (this.#data !== undefined && this.#replies.isDataAwaited) this.#endEmpty(this.#data, refusal);
    else void this.#resetThenFail(refusal);
  }

  #sendContent(): void {
    const { plan, content } = this.#message;
    const { expected } = this.#replies;
    if (this.#data !== undefined) return this.#data.start(expected, plan.sevenBitOnly);
    new BdatTransfer(this.#connection, content, this, { ...plan, ...this.#settings, expected }).start();
  }

  #sendToOthers(delivery: Delivery): void {
    sendRest(this.#message, delivery, this.#replies.rcpt, this.#observer, (rest, observer) =>
      new Transaction(this.#connection, rest, this.#settings, observer).start(),
    );
  }

  /** 354 although nobody is left to receive: an empty message ends it, its reply means nothing (RFC 2920 3.1). */
  #endEmpty({ endCommand }: DataTransfer, refusal: SMTPException): void {
    const connection = this.#connection;
    const { dialogue } = connection;
    const fail = (): void => this.#observer.reject(refusal);
    endCommand.receiver = { replied: fail, lost: fail };
    // Where an answer is here before the message, the answer to that would be taken for the one to the next command.
    if (this.#settings.protocol === "lmtp" || dialogue.hasUnreadBytes || dialogue.position !== "body") {
      return connection.drop(disconnected("the server asked for data that nobody would receive"));
    }
    connection.output.addText(".\r\n");
    dialogue.endBody();
    connection.flush();
  }

  /** No accepted recipient of a failed transaction may remain for the next one (RFC 5321 4.1.1.5). */
  async #resetThenFail(refusal: SMTPException): Promise<void> {
    await this.#connection.reset();
    this.#observer.reject(refusal);
  }
}
