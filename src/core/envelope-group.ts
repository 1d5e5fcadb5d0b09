/**
 * One message's envelope as a pipelining group (RFC 2920 3.1): MAIL, each RCPT and DATA leave together, and the dialogue
 * awaits their replies, and the reply to the message behind them, by one entry.
 */
import type { TimeoutPhase } from "../errors.ts";
import { noteRefusal } from "./refused-command.ts";
import type { RawReply } from "./reply.ts";

/** The commands of a group, and the replies so far. */
export abstract class EnvelopeGroup {
  /** The lines of the commands. */
  readonly wire: string;
  /** The replies so far, in order: to MAIL, to each RCPT, to DATA, to the message. */
  readonly replies: RawReply[] = [];
  /** False once a reply was not the one that goes on: 2yz, and 354 to DATA. */
  isAccepted = true;
  /** How many replies answer the envelope. */
  readonly #envelopeReplies: number;

  /** For the lines of MAIL and of each RCPT, without their ends. */
  constructor(mail: string, recipients: readonly string[]) {
    let wire = mail;
    for (const recipient of recipients) wire += `\r\n${recipient}`;
    this.wire = `${wire}\r\nDATA\r\n`;
    this.#envelopeReplies = recipients.length + 2;
  }

  /** True once all replies to the envelope are here. */
  get isEnvelopeAnswered(): boolean {
    return this.replies.length >= this.#envelopeReplies;
  }

  /** The verb that the next reply answers; "." for the message. */
  get verb(): string {
    return this.verbOf(this.replies.length);
  }

  /** Which timeout bounds the wait for the next reply. */
  get phase(): TimeoutPhase {
    const missing = this.#envelopeReplies - this.replies.length;
    return missing > 1 ? "envelope" : missing === 1 ? "dataInit" : "dataDone";
  }

  /** How many replies are still to come. */
  get pendingReplies(): number {
    return Math.max(1, this.#envelopeReplies - this.replies.length);
  }

  /**
   * Takes the next reply; returns whether the receiver can act on it. Nothing else may happen yet: what came with it may
   * end the session.
   */
  take(reply: RawReply): boolean {
    const { code } = reply;
    const last = this.#envelopeReplies;
    const count = this.replies.push(reply);
    if (count === last ? code !== 354 : code >= 300) this.isAccepted = false;
    if (code >= 400) noteRefusal(reply.reply, this.verbOf(count - 1));
    return count >= last;
  }

  /** The verb that a reply answers; "." for the message. */
  verbOf(index: number): "MAIL" | "RCPT" | "DATA" | "." {
    const data = this.#envelopeReplies - 1;
    if (index === 0) return "MAIL";
    return index < data ? "RCPT" : index === data ? "DATA" : ".";
  }

  /** Receives the reply to DATA, when those before it are known, and the reply to the message. */
  abstract replied(reply: RawReply): void;

  /** The replies that are missing will not come. */
  abstract lost(): void;
}
