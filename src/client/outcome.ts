/** What the server's replies to one message add up to: who was accepted, who was refused, and which exception that is. */
import type { Command } from "../core/command.ts";
import { mayPass } from "../core/refused-command.ts";
import { isPositive, type RawReply, type Refused, type Reply } from "../core/reply.ts";
import {
  type ResponseDetails,
  SMTPDataError,
  type SMTPException,
  SMTPRecipientsRefused,
  SMTPSenderRefused,
} from "../errors.ts";

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
export type Answers = {
  /** The replies to RCPT so far. */
  readonly rcpt: readonly RawReply[];
  /** Takes the reply to one of the envelope's commands. */
  add(command: Command, reply: RawReply): void;
  /** True if the server waits for data. */
  dataAwaited(): boolean;
  /** True if MAIL or every RCPT was refused: the rest of the transaction has no purpose. */
  nobodyLeft(): boolean;
  /** True if recipients were refused who may find room in a transaction of their own (RFC 5321 4.5.3.1.10). */
  full(): boolean;
  /** How many replies answer the message: one, or in LMTP one for each accepted recipient (RFC 2033 4.2). */
  expected(): number;
  /** What the replies so far refuse, most telling first; undefined if nothing, or not yet. */
  refusal(): SMTPException | undefined;
  /** What all replies come to: the delivery, or the exception if nobody gets the message. */
  outcome(finalReplies: readonly RawReply[]): Delivery | SMTPException;
};

/** No replies yet. */
export function makeAnswers({ from, recipients }: Parties, protocol: "smtp" | "lmtp"): Answers {
  const lmtp = protocol === "lmtp";
  const rcpt: RawReply[] = [];
  let mail: RawReply | undefined;
  let data: RawReply | undefined;
  let accepted = 0;
  let full = false;

  function nobodyLeft(): boolean {
    if (mail && !isPositive(mail.code)) return true;
    return accepted === 0 && rcpt.length === recipients.length;
  }

  function refusal(): SMTPException | undefined {
    if (mail && !isPositive(mail.code)) return new SMTPSenderRefused(mail.code, mail.message, from, rejection(mail));
    if (rcpt[rcpt.length - 1]?.code === 421 || (mail && nobodyLeft())) return recipientsRefused(rcpt);
    return data && data.code !== 354 ? dataRefused(data) : undefined;
  }

  function recipientsRefused(replies: readonly RawReply[]): SMTPRecipientsRefused {
    const temporary = replies.some(({ reply }) => mayPass(reply));
    return new SMTPRecipientsRefused(refusedBy(replies, recipients), { temporary });
  }

  /** LMTP: a reply for each accepted recipient, in order; the others keep RCPT's. */
  function merged(finalReplies: readonly RawReply[]): RawReply[] {
    const final = finalReplies.values();
    return rcpt.map((reply) => (isPositive(reply.code) ? (final.next().value ?? reply) : reply));
  }

  return {
    rcpt,

    add({ verb }, reply) {
      if (verb === "MAIL") mail = reply;
      else if (verb === "DATA") data = reply;
      else if (verb === "RCPT") {
        rcpt.push(reply);
        if (reply.code === 452 || reply.code === 552) full = true;
        if (isPositive(reply.code)) accepted++;
      }
    },

    dataAwaited: () => data?.code === 354,
    nobodyLeft,
    full: () => full,
    expected: () => (lmtp ? Math.max(1, accepted) : 1),
    refusal,

    outcome(finalReplies) {
      const last = finalReplies[finalReplies.length - 1];
      if (!last || nobodyLeft()) return refusal() ?? recipientsRefused(rcpt);
      if (!lmtp && !isPositive(last.code)) return dataRefused(last);
      const replies = lmtp ? merged(finalReplies) : rcpt;
      if (lmtp && !replies.some(({ code }) => isPositive(code))) return recipientsRefused(replies);
      return new Outcome(recipients, replies, last);
    },
  };
}

function dataRefused(reply: RawReply): SMTPDataError {
  return new SMTPDataError(reply.code, reply.message, rejection(reply));
}

function rejection({ reply }: RawReply): ResponseDetails {
  return { delivery: "rejected", reply };
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
  recipients.forEach(({ given }, index) => {
    const reply = replies[index];
    if (reply && !isPositive(reply.code)) refused[given] = reply.reply;
  });
  return refused;
}
