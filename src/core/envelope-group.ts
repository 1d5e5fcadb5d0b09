/**
 * One message's envelope as a pipelining group (RFC 2920 3.1): MAIL, each RCPT and DATA are sent together, and one
 * entry of the dialogue awaits their replies and the reply to the message.
 */
import type { TimeoutPhase } from "../errors.ts";
import { PipeliningGroup } from "./pipelining-group.ts";
import { noteRefusal } from "./refused-command.ts";
import type { RawReply } from "./reply.ts";

/** The commands of an envelope, and the replies: to MAIL, to each RCPT, to DATA, to the message. */
export abstract class EnvelopeGroup extends PipeliningGroup {
  /** The number of replies to the envelope. */
  readonly #envelopeReplies: number;
  #dispatched = 0;

  /** Parameters are the lines of MAIL and of each RCPT, without CRLF. */
  constructor(mail: string, recipients: readonly string[]) {
    let wire = mail;
    for (const recipient of recipients) wire += `\r\n${recipient}`;
    super(`${wire}\r\nDATA\r\n`);
    this.#envelopeReplies = recipients.length + 2;
  }

  /** True once all replies to the envelope have arrived. */
  get isEnvelopeAnswered(): boolean {
    return this.replies.length >= this.#envelopeReplies;
  }

  /** The timeout that limits the wait for the next reply. */
  get phase(): TimeoutPhase {
    const missing = this.#envelopeReplies - this.replies.length;
    return missing > 1 ? "envelope" : missing === 1 ? "dataInit" : "dataDone";
  }

  /** The number of pending replies. */
  get pendingReplies(): number {
    return Math.max(1, this.#envelopeReplies - this.replies.length);
  }

  /** Adds the next reply. Must not do more: bytes that arrived with it may end the session. */
  take(reply: RawReply): void {
    const { code } = reply;
    const last = this.#envelopeReplies;
    const count = this.replies.push(reply);
    if (count === last ? code !== 354 : code >= 300) this.isAccepted = false;
    if (code >= 400) noteRefusal(reply.reply, this.verbOf(count - 1));
  }

  /** The line that the next reply for `dispatch()` answers; "." for the message. */
  get shown(): string {
    return this.lines[this.#dispatched] ?? ".";
  }

  /** Passes on a reply that was taken, in order: only the reply to DATA and the final one concern the receiver. */
  dispatch(reply: RawReply): void {
    if (++this.#dispatched >= this.#envelopeReplies) this.replied(reply);
  }

  /** The verb that a reply answers; "." for the message. */
  verbOf(index: number): "MAIL" | "RCPT" | "DATA" | "." {
    const data = this.#envelopeReplies - 1;
    if (index === 0) return "MAIL";
    return index < data ? "RCPT" : index === data ? "DATA" : ".";
  }

  /** Receives the reply to DATA, after those before it, and the reply to the message. */
  protected abstract replied(reply: RawReply): void;
}
