/**
 * A whole message's commands as a pipelining group (RFC 2920 3.1): RSET, MAIL, each RCPT and the last BDAT, with the
 * content behind it, are sent together, and one entry of the dialogue awaits all replies.
 */
import type { TimeoutPhase } from "../errors.ts";
import { PipeliningGroup } from "./pipelining-group.ts";
import { noteRefusal } from "./refused-command.ts";
import { isPositive, type RawReply } from "./reply.ts";

/** The parts of a message in one flight. Lines are without CRLF. */
export type FlightParts = {
  readonly mail: string;
  readonly recipients: readonly string[];
  /** Bytes of the content. */
  readonly octets: number;
  readonly protocol: "smtp" | "lmtp";
};

/** The commands of a message, and the replies: to RSET, to MAIL, to each RCPT, to the message. */
export abstract class FlightGroup extends PipeliningGroup {
  /** The number of replies before those to the message. */
  readonly #envelopeReplies: number;
  readonly #isLmtp: boolean;
  /** The number of recipients that were accepted so far. */
  #accepted = 0;
  #dispatched = 0;

  constructor({ mail, recipients, octets, protocol }: FlightParts) {
    let wire = `RSET\r\n${mail}\r\n`;
    for (const recipient of recipients) wire += `${recipient}\r\n`;
    super(`${wire}BDAT ${octets} LAST\r\n`);
    this.#envelopeReplies = recipients.length + 2;
    this.#isLmtp = protocol === "lmtp";
  }

  /** True once all replies have arrived. */
  get isAnswered(): boolean {
    const final = this.replies.length - this.#envelopeReplies;
    // In LMTP, there is one for each accepted recipient (RFC 2033 4.2), and one if there are none.
    return final > 0 && (!this.#isLmtp || final >= this.#accepted);
  }

  get phase(): TimeoutPhase {
    const answered = this.replies.length;
    return answered === 0 ? "command" : answered < this.#envelopeReplies ? "envelope" : "dataDone";
  }

  get pendingReplies(): number {
    return Math.max(1, this.#envelopeReplies + 1 - this.replies.length);
  }

  get shown(): string {
    return this.lines[Math.min(this.#dispatched, this.#envelopeReplies)] ?? "";
  }

  /** The replies to RCPT so far. */
  get recipientReplies(): readonly RawReply[] {
    return this.replies.slice(2, this.#envelopeReplies);
  }

  verbOf(index: number): "RSET" | "MAIL" | "RCPT" | "BDAT" {
    if (index === 0) return "RSET";
    if (index === 1) return "MAIL";
    return index < this.#envelopeReplies ? "RCPT" : "BDAT";
  }

  take(reply: RawReply): void {
    const { code } = reply;
    const count = this.replies.push(reply);
    if (!isPositive(code)) this.isAccepted = false;
    else if (count > 2 && count <= this.#envelopeReplies) this.#accepted++;
    if (code >= 400) noteRefusal(reply.reply, this.verbOf(count - 1));
  }

  /** Only the reply to RSET and those to the message concern the receiver. */
  dispatch(reply: RawReply): void {
    const index = this.#dispatched++;
    if (index === 0) this.resetAnswered(reply);
    else if (index >= this.#envelopeReplies) this.messageAnswered(reply);
  }

  /** Receives the reply to RSET. */
  protected abstract resetAnswered(reply: RawReply): void;

  /** Receives a reply to the message, after those to the envelope. */
  protected abstract messageAnswered(reply: RawReply): void;
}
