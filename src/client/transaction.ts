/**
 * One message on a connection: MAIL, RCPT, DATA, and what became of it. Lock-step and pipelining differ only in how
 * far `#advance()` goes. Each way out settles the outcome exactly once.
 */
import { Command, type ReplyReceiver } from "../core/command.ts";
import type { Plan } from "../core/plan.ts";
import { isPositive, type Refused, type Reply } from "../core/reply.ts";
import { SMTPDataError, type SMTPException, SMTPRecipientsRefused, SMTPSenderRefused } from "../errors.ts";
import type { Connection } from "./connection.ts";
import { DataTransfer, type TransferObserver } from "./data-transfer.ts";
import { disconnected } from "./session-end.ts";
import type { Content } from "./source.ts";

/** What a message's delivery came to. */
export type Delivery = {
  /** The recipients whose mail the server took, as they were given. */
  readonly accepted: string[];
  /** The others, each with the reply that refused it. */
  readonly refused: Refused;
  /** The last reply, with the server's queue id. */
  readonly reply: Reply;
  /** A reply a recipient, in their order: RCPT's, or LMTP's after the data. */
  readonly replies: Reply[];
};

/** A message, checked and planned. */
export type Message = {
  readonly plan: Plan;
  /** The sender and the recipients as they were given. */
  readonly sender: string;
  readonly recipients: readonly string[];
  readonly content: Content;
};

/** How the transaction goes about it. */
export type TransactionSettings = { readonly pipelining: boolean; readonly protocol: "smtp" | "lmtp" };

type Settle = { resolve(delivery: Delivery): void; reject(error: unknown): void };

/** Runs one message. */
export class Transaction implements ReplyReceiver, TransferObserver {
  readonly #connection: Connection;
  readonly #message: Message;
  readonly #settings: TransactionSettings;
  readonly #commands: Command[] = [];
  readonly #transfer: DataTransfer;
  readonly #rcptReplies: Reply[] = [];
  #mailReply: Reply | undefined;
  #dataReply: Reply | undefined;
  #sent = 0;
  #answered = 0;
  #letGo: () => void = () => {};
  #settle: Settle | undefined;

  constructor(connection: Connection, message: Message, settings: TransactionSettings) {
    this.#connection = connection;
    this.#message = message;
    this.#settings = settings;
    this.#transfer = new DataTransfer(connection, message.content, this);
    if (connection.dialogue.transactionOpen) this.#commands.push(Command.simple("RSET"));
    this.#commands.push(message.plan.mail, ...message.plan.recipients, Command.data());
    for (const command of this.#commands) command.receiver = this;
  }

  /**
   * Sends the message. `letGo` is called as soon as the next transaction may begin.
   * @throws the exceptions that `sendmail` documents, each with `delivery`
   */
  run(letGo: () => void): Promise<Delivery> {
    this.#letGo = letGo;
    return new Promise((resolve, reject) => {
      this.#settle = { resolve, reject };
      this.#connection.checkIdle();
      this.#advance();
    });
  }

  /** A reply to one of the envelope's commands. */
  replied(command: Command, reply: Reply): void {
    this.#answered++;
    if (command.verb === "MAIL") this.#mailReply = reply;
    else if (command.verb === "RCPT") this.#rcptReplies.push(reply);
    else if (command.verb === "DATA") this.#dataReply = reply;
    else if (!isPositive(reply.code)) {
      this.#connection.drop(disconnected(`RSET was refused: ${reply.code} ${reply.message}`));
    }
    // The connection is dropped next; nothing may be awaited that would hear of it.
    if (reply.code === 421 || this.#connection.end !== undefined) return this.lost();
    if (this.#pointless()) this.#commands.length = this.#sent;
    if (this.#sent < this.#commands.length) this.#advance();
    else if (this.#answered === this.#sent) this.#envelopeAnswered();
  }

  /** The session ended before the reply to one of the envelope's commands. */
  lost(): void {
    this.failed(this.#refusal() ?? this.#connection.end?.toError({ delivery: "not-sent" }));
  }

  /** The content and its end are on their way: the next message may begin. */
  ended(): void {
    if (this.#settings.pipelining) this.#letGo();
  }

  /** All replies to the content are here. */
  complete(finalReplies: readonly Reply[]): void {
    const [last] = finalReplies.slice(-1);
    if (last === undefined) return;
    const replies = this.#settings.protocol === "lmtp" ? this.#merged(finalReplies) : this.#rcptReplies;
    if (this.#settings.protocol === "smtp" && !isPositive(last.code)) {
      return this.failed(new SMTPDataError(last.code, last.message, { delivery: "rejected", reply: last }));
    }
    const accepted = this.#message.recipients.filter((_, index) => isPositive(replies[index]?.code ?? 0));
    if (accepted.length === 0) return this.failed(this.#recipientsRefused(replies));
    this.#settled()?.resolve({ accepted, refused: this.#refusedBy(replies), reply: last, replies: [...replies] });
  }

  /** The message was not delivered, or nobody knows. */
  failed(error: unknown): void {
    this.#settled()?.reject(error);
  }

  #advance(): void {
    if (this.#connection.end !== undefined) return this.lost();
    const { dialogue } = this.#connection;
    while (this.#sent < this.#commands.length && (this.#settings.pipelining || dialogue.owed === 0)) {
      const command = this.#commands[this.#sent++];
      if (command?.verb === "DATA") this.#connection.sendData(command, this.#transfer.end);
      else if (command !== undefined) this.#connection.send(command);
    }
    this.#connection.flush();
  }

  /** In lock-step: the rest of the envelope has no purpose once MAIL or each RCPT was refused. */
  #pointless(): boolean {
    if (this.#mailReply !== undefined && !isPositive(this.#mailReply.code)) return true;
    return this.#rcptReplies.length === this.#message.recipients.length && this.#acceptedCount() === 0;
  }

  #acceptedCount(): number {
    return this.#rcptReplies.filter((reply) => isPositive(reply.code)).length;
  }

  #envelopeAnswered(): void {
    const refusal = this.#refusal();
    const lmtp = this.#settings.protocol === "lmtp";
    if (refusal === undefined) this.#transfer.start(lmtp ? this.#acceptedCount() : 1, this.#message.plan.sevenBitOnly);
    else if (this.#dataReply?.code === 354) this.#endEmpty(refusal);
    else void this.#resetThenFail(refusal);
  }

  /** What the replies so far refuse, most telling first; undefined if nothing, or not yet. */
  #refusal(): SMTPException | undefined {
    const [mail, data] = [this.#mailReply, this.#dataReply];
    const delivery = "rejected";
    if (mail !== undefined && !isPositive(mail.code)) {
      return new SMTPSenderRefused(mail.code, mail.message, this.#message.sender, { delivery, reply: mail });
    }
    const closing = this.#rcptReplies.some((reply) => reply.code === 421);
    const complete = mail !== undefined && this.#rcptReplies.length === this.#message.recipients.length;
    if (closing || (complete && this.#acceptedCount() === 0)) return this.#recipientsRefused(this.#rcptReplies);
    if (data === undefined || data.code === 354) return undefined;
    return new SMTPDataError(data.code, data.message, { delivery, reply: data });
  }

  #recipientsRefused(replies: readonly Reply[]): SMTPRecipientsRefused {
    const temporary = replies.some(({ code }) => (code >= 400 && code < 500) || code === 552);
    return new SMTPRecipientsRefused(this.#refusedBy(replies), { temporary });
  }

  #refusedBy(replies: readonly Reply[]): Refused {
    const refused: Refused = Object.create(null);
    for (const [index, reply] of replies.entries()) {
      const address = this.#message.recipients[index];
      if (address !== undefined && !isPositive(reply.code)) refused[address] = reply;
    }
    return refused;
  }

  /** 354 although nobody is left to receive: an empty message ends it, its reply means nothing (RFC 2920 3.1). */
  #endEmpty(refusal: SMTPException): void {
    if (this.#settings.protocol === "lmtp") {
      this.failed(refusal);
      return this.#connection.drop(disconnected("the server asked for data that nobody would receive"));
    }
    const fail = (): void => this.failed(refusal);
    this.#transfer.end.receiver = { replied: fail, lost: fail };
    this.#connection.output.addText(".\r\n");
    this.#connection.dialogue.bodySent();
    this.#connection.flush();
  }

  /** No accepted recipient of a failed transaction may remain for the next one (RFC 5321 4.1.1.5). */
  async #resetThenFail(refusal: SMTPException): Promise<void> {
    const reply = await this.#connection.request(Command.simple("RSET")).catch(() => undefined);
    if (reply === undefined || !isPositive(reply.code)) {
      this.#connection.drop(disconnected("the transaction that failed could not be reset"));
    }
    this.failed(refusal);
  }

  /** LMTP: one reply for each accepted recipient, in order; the others keep RCPT's (RFC 2033 4.2). */
  #merged(finalReplies: readonly Reply[]): Reply[] {
    const final = finalReplies.values();
    return this.#rcptReplies.map((reply) => (isPositive(reply.code) ? (final.next().value ?? reply) : reply));
  }

  #settled(): Settle | undefined {
    const settle = this.#settle;
    this.#settle = undefined;
    return settle;
  }
}
