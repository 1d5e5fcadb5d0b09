/** What the server's replies to one message add up to: who was accepted, who was refused, and which exception that is. */
import type { Command } from "../core/command.ts";
import { isPositive, type RawReply, type Refused, type Reply } from "../core/reply.ts";
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
  /** The replies to RCPT so far. */
  readonly rcpt: RawReply[] = [];
  /** True if recipients were refused who may find room in a transaction of their own (RFC 5321 4.5.3.1.10). */
  full = false;
  #mail: RawReply | undefined;
  #data: RawReply | undefined;
  #accepted = 0;

  constructor(parties: Parties, protocol: "smtp" | "lmtp") {
    this.#parties = parties;
    this.#lmtp = protocol === "lmtp";
  }

  /** Takes the reply to one of the envelope's commands. */
  add({ verb }: Command, reply: RawReply): void {
    if (verb === "MAIL") this.#mail = reply;
    else if (verb === "DATA") this.#data = reply;
    else if (verb === "RCPT") {
      this.rcpt.push(reply);
      if (reply.code === 452 || reply.code === 552) this.full = true;
      if (isPositive(reply.code)) this.#accepted++;
    }
  }

  /** True if the server waits for data. */
  get dataAwaited(): boolean {
    return this.#data?.code === 354;
  }

  /** True if MAIL or every RCPT was refused: the rest of the transaction has no purpose. */
  get nobodyLeft(): boolean {
    if (this.#mail !== undefined && !isPositive(this.#mail.code)) return true;
    return this.#accepted === 0 && this.rcpt.length === this.#parties.recipients.length;
  }

  /** How many replies answer the message: one, or in LMTP one for each accepted recipient (RFC 2033 4.2). */
  get expected(): number {
    return this.#lmtp ? Math.max(1, this.#accepted) : 1;
  }

  /** What the replies so far refuse, most telling first; undefined if nothing, or not yet. */
  refusal(): SMTPException | undefined {
    const mail = this.#mail;
    const data = this.#data;
    const delivery = "rejected";
    if (mail !== undefined && !isPositive(mail.code)) {
      return new SMTPSenderRefused(mail.code, mail.message, this.#parties.from, { delivery, reply: mail.reply });
    }
    const last = this.rcpt[this.rcpt.length - 1];
    if (last?.code === 421 || (mail !== undefined && this.nobodyLeft)) return this.#recipientsRefused(this.rcpt);
    if (data === undefined || data.code === 354) return undefined;
    return new SMTPDataError(data.code, data.message, { delivery, reply: data.reply });
  }

  /** What all replies come to: the delivery, or the exception if nobody gets the message. */
  outcome(finalReplies: readonly RawReply[]): Delivery | SMTPException {
    const last = finalReplies[finalReplies.length - 1];
    if (last === undefined || this.nobodyLeft) return this.refusal() ?? this.#recipientsRefused(this.rcpt);
    if (!this.#lmtp && !isPositive(last.code)) {
      return new SMTPDataError(last.code, last.message, { delivery: "rejected", reply: last.reply });
    }
    const replies = this.#lmtp ? this.#merged(finalReplies) : this.rcpt;
    if (this.#lmtp && !replies.some(({ code }) => isPositive(code))) return this.#recipientsRefused(replies);
    return new Outcome(this.#parties.recipients, replies, last);
  }

  #recipientsRefused(replies: readonly RawReply[]): SMTPRecipientsRefused {
    const temporary = replies.some(({ code }) => (code >= 400 && code < 500) || code === 552);
    return new SMTPRecipientsRefused(refusedBy(replies, this.#parties.recipients), { temporary });
  }

  /** LMTP: a reply for each accepted recipient, in order; the others keep RCPT's. */
  #merged(finalReplies: readonly RawReply[]): RawReply[] {
    const final = finalReplies.values();
    return this.rcpt.map((reply) => (isPositive(reply.code) ? (final.next().value ?? reply) : reply));
  }
}

/** A delivery whose parts are made when they are asked for: most callers want to know who was refused, and no more. */
class Outcome implements Delivery {
  readonly #recipients: Parties["recipients"];
  readonly #replies: readonly RawReply[];
  readonly #last: RawReply;

  constructor(recipients: Parties["recipients"], replies: readonly RawReply[], last: RawReply) {
    this.#recipients = recipients;
    this.#replies = replies;
    this.#last = last;
  }

  get accepted(): string[] {
    const accepted = this.#recipients.filter((_, index) => isPositive(this.#replies[index]?.code ?? 0));
    return accepted.map(({ given }) => given);
  }

  get refused(): Refused {
    return refusedBy(this.#replies, this.#recipients);
  }

  get reply(): Reply {
    return this.#last.reply;
  }

  get replies(): Reply[] {
    return this.#replies.map(({ reply }) => reply);
  }
}

/** The delivery as a plain object, for users. */
export function plainDelivery({ accepted, refused, reply, replies }: Delivery): Delivery {
  return { accepted, refused, reply, replies };
}

function refusedBy(replies: readonly RawReply[], recipients: Parties["recipients"]): Refused {
  const refused: Refused = Object.create(null);
  for (let index = 0; index < replies.length; index++) {
    const reply = replies[index];
    const recipient = recipients[index];
    if (reply && recipient && !isPositive(reply.code)) refused[recipient.given] = reply.reply;
  }
  return refused;
}
