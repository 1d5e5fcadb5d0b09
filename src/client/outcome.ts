/** What the server's replies to one message add up to: who was accepted, who was refused, and which exception that is. */
import type { Command } from "../core/command.ts";
import { isPositive, type Refused, type Reply } from "../core/reply.ts";
import { SMTPDataError, type SMTPException, SMTPRecipientsRefused, SMTPSenderRefused } from "../errors.ts";

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

/** Whose message it is: the sender and the recipients as they were given. */
export type Parties = { readonly from: string; readonly recipients: readonly { readonly given: string }[] };

/** The replies to one message, as they come in. */
export class Answers {
  readonly #parties: Parties;
  readonly #lmtp: boolean;
  readonly #rcpt: Reply[] = [];
  #mail: Reply | undefined;
  #data: Reply | undefined;

  constructor(parties: Parties, protocol: "smtp" | "lmtp") {
    this.#parties = parties;
    this.#lmtp = protocol === "lmtp";
  }

  /** Takes the reply to one of the envelope's commands. */
  add({ verb }: Command, reply: Reply): void {
    if (verb === "MAIL") this.#mail = reply;
    else if (verb === "RCPT") this.#rcpt.push(reply);
    else if (verb === "DATA") this.#data = reply;
  }

  /** True if the server waits for data. */
  get dataAwaited(): boolean {
    return this.#data?.code === 354;
  }

  /** True if MAIL or every RCPT was refused: the rest of the transaction has no purpose. */
  get nobodyLeft(): boolean {
    if (this.#mail !== undefined && !isPositive(this.#mail.code)) return true;
    return this.#rcpt.length === this.#parties.recipients.length && this.#accepted === 0;
  }

  /** How many replies answer the message: one, or in LMTP one for each accepted recipient (RFC 2033 4.2). */
  get expected(): number {
    return this.#lmtp ? Math.max(1, this.#accepted) : 1;
  }

  /** What the replies so far refuse, most telling first; undefined if nothing, or not yet. */
  refusal(): SMTPException | undefined {
    const [mail, data] = [this.#mail, this.#data];
    const delivery = "rejected";
    if (mail !== undefined && !isPositive(mail.code)) {
      return new SMTPSenderRefused(mail.code, mail.message, this.#parties.from, { delivery, reply: mail });
    }
    const closing = this.#rcpt.some((reply) => reply.code === 421);
    if (closing || (mail !== undefined && this.nobodyLeft)) return this.#recipientsRefused(this.#rcpt);
    if (data === undefined || data.code === 354) return undefined;
    return new SMTPDataError(data.code, data.message, { delivery, reply: data });
  }

  /** What all replies come to; throws nothing, but gives the exception if nobody gets the message. */
  outcome(finalReplies: readonly Reply[]): Delivery | SMTPException {
    const [reply] = finalReplies.slice(-1);
    const refusal = this.refusal();
    if (refusal !== undefined || reply === undefined) return refusal ?? this.#recipientsRefused(this.#rcpt);
    if (!this.#lmtp && !isPositive(reply.code)) {
      return new SMTPDataError(reply.code, reply.message, { delivery: "rejected", reply });
    }
    const replies = this.#lmtp ? this.#merged(finalReplies) : this.#rcpt;
    const accepted = this.#parties.recipients
      .filter((_, index) => isPositive(replies[index]?.code ?? 0))
      .map(({ given }) => given);
    if (accepted.length === 0) return this.#recipientsRefused(replies);
    return { accepted, refused: this.#refusedBy(replies), reply, replies };
  }

  get #accepted(): number {
    return this.#rcpt.filter((reply) => isPositive(reply.code)).length;
  }

  #recipientsRefused(replies: readonly Reply[]): SMTPRecipientsRefused {
    const temporary = replies.some(({ code }) => (code >= 400 && code < 500) || code === 552);
    return new SMTPRecipientsRefused(this.#refusedBy(replies), { temporary });
  }

  #refusedBy(replies: readonly Reply[]): Refused {
    const refused: Refused = Object.create(null);
    for (const [index, reply] of replies.entries()) {
      const recipient = this.#parties.recipients[index];
      if (recipient && !isPositive(reply.code)) refused[recipient.given] = reply;
    }
    return refused;
  }

  /** LMTP: a reply for each accepted recipient, in order; the others keep RCPT's. */
  #merged(finalReplies: readonly Reply[]): Reply[] {
    const final = finalReplies.values();
    return this.#rcpt.map((reply) => (isPositive(reply.code) ? (final.next().value ?? reply) : reply));
  }
}
