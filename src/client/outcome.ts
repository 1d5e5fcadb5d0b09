/** Interprets the server's replies to one message: the accepted and refused recipients, and the exception. */
import { mayPass } from "../core/refused-command.ts";
import { isPositive, type RawReply, type Refused, type Reply } from "../core/reply.ts";
import {
  type ResponseDetails,
  SMTPDataError,
  type SMTPException,
  SMTPRecipientsRefused,
  SMTPSenderRefused,
  SMTPServerDisconnected,
} from "../errors.ts";

/** The result of a message's delivery. */
export type Delivery = {
  /** The recipients that the server accepted, as the caller passed them. */
  readonly accepted: string[];
  /** The refused recipients, each with its reply. */
  readonly refused: Refused;
  /** The last reply, with the server's queue id. */
  readonly reply: Reply;
  /** One reply for each recipient, in their order: RCPT's, or LMTP's after the data. */
  readonly replies: Reply[];
};

/** The sender and the recipients, as the caller passed them. */
export type Parties = { readonly from: string; readonly to: readonly string[] };

/** Collects the replies to one transaction. */
export class TransactionReplies {
  /** The replies to RCPT so far. */
  readonly rcpt: RawReply[] = [];
  readonly #parties: Parties;
  readonly #isLmtp: boolean;
  #mail: RawReply | undefined;
  #data: RawReply | undefined;
  #accepted = 0;
  #hasFull = false;

  constructor(parties: Parties, protocol: "smtp" | "lmtp") {
    this.#parties = parties;
    this.#isLmtp = protocol === "lmtp";
  }

  /** Adds the reply to a command of the envelope. */
  add(verb: string, reply: RawReply): void {
    if (verb === "MAIL") this.#mail = reply;
    else if (verb === "DATA") this.#data = reply;
    else if (verb === "RCPT") {
      this.rcpt.push(reply);
      if (reply.code === 452 || reply.code === 552) this.#hasFull = true;
      if (isPositive(reply.code)) this.#accepted++;
    }
  }

  /** True if the server waits for data. */
  get isDataAwaited(): boolean {
    return this.#data?.code === 354;
  }

  /** True if MAIL or every RCPT was refused: the rest of the transaction is pointless. */
  get isHopeless(): boolean {
    if (this.#mail !== undefined && !isPositive(this.#mail.code)) return true;
    return this.#accepted === 0 && this.rcpt.length === this.#parties.to.length;
  }

  /** True if refused recipients may find room in a transaction of their own (RFC 5321 4.5.3.1.10). */
  get hasFull(): boolean {
    return this.#hasFull;
  }

  /** The number of replies to the message: one, or in LMTP one for each accepted recipient (RFC 2033 4.2). */
  get expected(): number {
    return this.#isLmtp ? Math.max(1, this.#accepted) : 1;
  }

  /** The most informative refusal so far; undefined if there is none yet. */
  refusal(): SMTPException | undefined {
    const mail = this.#mail;
    if (mail !== undefined && !isPositive(mail.code))
      return new SMTPSenderRefused(mail.code, mail.message, this.#parties.from, rejection(mail));
    if (this.rcpt[this.rcpt.length - 1]?.code === 421 || (mail !== undefined && this.isHopeless))
      return this.#recipientsRefused(this.rcpt);
    return this.#data !== undefined && this.#data.code !== 354 ? dataRefused(this.#data) : undefined;
  }

  /** The delivery, or the exception if no recipient gets the message. */
  outcome(finalReplies: readonly RawReply[]): Delivery | SMTPException {
    const last = finalReplies[finalReplies.length - 1];
    if (last === undefined || this.isHopeless) return this.refusal() ?? this.#recipientsRefused(this.rcpt);
    if (!this.#isLmtp && !isPositive(last.code)) return dataRefused(last);
    const replies = this.#isLmtp ? this.#merged(finalReplies) : this.rcpt;
    if (this.#isLmtp && !replies.some(({ code }) => isPositive(code))) return this.#recipientsRefused(replies);
    return new Outcome(this.#parties.to, replies, last);
  }

  /** Adds what is known of recipients to an error with an unknown outcome: the others may have got the message. */
  noteKnown(error: unknown): unknown {
    if (!(error instanceof SMTPServerDisconnected) || error.delivery !== "unknown") return error;
    const final = error.replies.values();
    const accepted: string[] = [];
    const refused: Refused = Object.create(null);
    for (const [index, rcpt] of this.rcpt.entries()) {
      const recipient = this.#parties.to[index] ?? "";
      const last = this.#isLmtp && isPositive(rcpt.code) ? final.next().value : undefined;
      if (last !== undefined && isPositive(last.code)) accepted.push(recipient);
      else if (last !== undefined || !isPositive(rcpt.code)) refused[recipient] = last ?? rcpt.reply;
    }
    if (Object.keys(refused).length > 0) error.refused = refused;
    if (accepted.length > 0) error.accepted = accepted;
    return error;
  }

  #recipientsRefused(replies: readonly RawReply[]): SMTPRecipientsRefused {
    const temporary = replies.some(({ reply }) => mayPass(reply));
    return new SMTPRecipientsRefused(refusedBy(replies, this.#parties.to), { temporary });
  }

  /** In LMTP, each accepted recipient has a final reply, in order; the others keep RCPT's. */
  #merged(finalReplies: readonly RawReply[]): RawReply[] {
    const final = finalReplies.values();
    return this.rcpt.map((reply) => (isPositive(reply.code) ? (final.next().value ?? reply) : reply));
  }
}

function dataRefused(reply: RawReply): SMTPDataError {
  return new SMTPDataError(reply.code, reply.message, rejection(reply));
}

function rejection({ reply }: RawReply): ResponseDetails {
  return { delivery: "rejected", reply };
}

/** A delivery that creates its parts on demand: most callers read only the refused recipients. */
export class Outcome implements Delivery {
  readonly #to: readonly string[];
  readonly #replies: readonly RawReply[];
  readonly #last: RawReply;

  /** `replies` has one for each recipient in `to`, `last` is the last reply to the message. */
  constructor(to: readonly string[], replies: readonly RawReply[], last: RawReply) {
    this.#to = to;
    this.#replies = replies;
    this.#last = last;
  }

  get accepted(): string[] {
    return this.#to.filter((_, index) => isPositive(this.#replies[index]?.code ?? 0));
  }

  get refused(): Refused {
    return refusedBy(this.#replies, this.#to);
  }

  get reply(): Reply {
    return this.#last.reply;
  }

  get replies(): Reply[] {
    return this.#replies.map(({ reply }) => reply);
  }
}

/** The delivery as a plain object, for callers. */
export function plainDelivery({ accepted, refused, reply, replies }: Delivery): Delivery {
  return { accepted, refused, reply, replies };
}

function refusedBy(replies: readonly RawReply[], to: readonly string[]): Refused {
  const refused: Refused = Object.create(null);
  for (const [index, recipient] of to.entries()) {
    const reply = replies[index];
    if (reply !== undefined && !isPositive(reply.code)) refused[recipient] = reply.reply;
  }
  return refused;
}
