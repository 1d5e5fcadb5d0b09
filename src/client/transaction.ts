/**
 * One message on a connection: sends MAIL, RCPT, then DATA or BDAT, and reports the outcome. Lock-step and pipelining
 * differ only in how far `#advance()` goes. Each path settles the outcome exactly once.
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

/** A checked and planned message. */
export type PlannedMessage = Parties & {
  readonly plan: Plan;
  readonly content: Content;
};

/** Settings of the transactions on a session. */
export type TransactionSettings = { readonly pipelining: boolean; readonly protocol: "smtp" | "lmtp" };

/** Receives `release` when the next message may begin, and at least one outcome; the first one counts. */
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
  /** The envelope's commands: RSET if needed, MAIL, RCPT, and DATA unless the content is sent by BDAT. */
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

  /** Sends as much of the envelope as may be sent without a reply. */
  start(): void {
    this.#advance();
  }

  /** Receives the reply to a command of the envelope. */
  replied({ verb }: Command, reply: RawReply): void {
    const connection = this.#connection;
    const commands = this.#commands;
    this.#answered++;
    this.#replies.add(verb, reply);
    if (verb === "RSET" && !isPositive(reply.code)) {
      connection.drop(disconnected(`RSET was refused: ${reply.code} ${reply.message}`));
    }
    // The connection is dropped next; start no command that waits for a reply.
    if (reply.code === 421 || connection.end !== undefined) return this.lost();
    if (this.#sent < commands.length && this.#replies.isHopeless) commands.length = this.#sent;
    if (this.#sent < commands.length) this.#advance();
    else if (this.#answered === this.#sent) this.#envelopeAnswered();
  }

  /** Called when the session ends before the reply to a command of the envelope. */
  lost(): void {
    this.#observer.reject(this.#replies.refusal() ?? this.#connection.end?.toError({ delivery: "not-sent" }));
  }

  /** After BDAT LAST, a MAIL sent before the reply would need an RSET first, which servers count. */
  ended(): void {
    if (this.#settings.pipelining && this.#data !== undefined && !this.#replies.hasFull) this.#observer.release();
  }

  /** Called with all replies to the message. */
  complete(finalReplies: readonly RawReply[]): void {
    reportOutcome(this.#connection, this.#message, this.#settings, this.#observer, this.#replies, finalReplies);
  }

  /** The message was not delivered, or the outcome is unknown. */
  undelivered(error: unknown): void {
    this.#observer.reject(this.#replies.noteKnown(error));
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
      for (const command of commands.slice(this.#sent))
        connection.send(command, command.verb === "DATA" ? end : undefined);
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
    else void rejectAfterReset(this.#connection, this.#observer, refusal);
  }

  #sendContent(): void {
    const { plan, content } = this.#message;
    const { expected } = this.#replies;
    if (this.#data !== undefined) return this.#data.start(expected, plan.sevenBitOnly);
    new BdatTransfer(this.#connection, content, this, { ...plan, ...this.#settings, expected }).start();
  }

  /** Ends the data after a 354 without recipients. */
  #endEmpty({ endCommand }: DataTransfer, refusal: SMTPException): void {
    const fail = (): void => this.#observer.reject(refusal);
    endCommand.receiver = { replied: fail, lost: fail };
    sendEmptyMessage(this.#connection);
  }
}

/** Reports the outcome of a transaction, after those of the recipients for which there was no room in it. */
export function reportOutcome(
  connection: Connection,
  message: PlannedMessage,
  settings: TransactionSettings,
  observer: TransactionObserver,
  replies: TransactionReplies,
  finalReplies: readonly RawReply[],
): void {
  const outcome = replies.outcome(finalReplies);
  if (outcome instanceof SMTPException) return observer.reject(outcome);
  if (!replies.hasFull) return observer.resolve(outcome);
  sendRest(message, outcome, replies.rcpt, observer, (rest, observer) =>
    new Transaction(connection, rest, settings, observer).start(),
  );
}

/** Ends the data with an empty message after a 354 without recipients; its reply means nothing (RFC 2920 3.1). */
export function sendEmptyMessage(connection: Connection): void {
  const { dialogue, output, settings } = connection;
  // After an early reply, the reply to the empty message would be taken for that to the next command.
  if (settings.protocol === "lmtp" || dialogue.hasUnreadBytes || dialogue.position !== "body") {
    return connection.drop(disconnected("the server asked for data that nobody would receive"));
  }
  output.addText(".\r\n");
  dialogue.endBody();
  connection.flush();
}

/** An accepted recipient of a failed transaction must not remain for the next one (RFC 5321 4.1.1.5). */
export async function rejectAfterReset(
  connection: Connection,
  observer: TransactionObserver,
  refusal: SMTPException,
): Promise<void> {
  await connection.reset();
  observer.reject(refusal);
}
