/**
 * The protocol's state, without I/O: which commands may be sent, and which command a reply answers.
 *
 * Rules:
 * 1. Replies answer commands in the order in which the commands were sent.
 * 2. The position is the sender's state. Each command that is sent changes it, and its reply changes it again where the
 *    table has an entry. A command that ends a group (RFC 2920 3.1) leads to "await-reply", which permits no command.
 *    So lock-step and pipelining share one implementation: a sender that does not wait uses the same table.
 * 3. Once the end of a message is sent, the next transaction may open; the replies to the message arrive later.
 * 4. An unsolicited or malformed reply, or a 421, ends the session. Complete replies before it still count.
 */

import { SMTPException } from "../errors.ts";
import type { Command } from "./command.ts";
import { EnvelopeGroup } from "./envelope-group.ts";
import type { Output } from "./output.ts";
import { isPositive, type RawReply, type Reply, type ReplyFault, ReplyParser } from "./reply.ts";

/** The sender's state. */
export type Position =
  /** The greeting is pending. */
  | "connected"
  /** Any command may be sent. */
  | "command"
  /** The last command requires that nothing is sent before its reply. */
  | "await-reply"
  /** The reply to DATA was 354: the content is being written. */
  | "body"
  /** The same after the caller's own DATA by `docmd()`: `send()` writes the content, `docmd(".")` ends it. */
  | "caller-body"
  /** The server waits for a response to its challenge. */
  | "auth"
  /** The reply to STARTTLS was 220. */
  | "ready-for-tls"
  /** The server ends the session next. */
  | "closing"
  | "closed";

/** A row of `TRANSITIONS`. */
export type TransitionRow = {
  /** The positions that permit the command. */
  readonly at: readonly Position[];
  /** The position after sending. */
  readonly sent: Position;
  /** The position after a reply of the class 2yz, 3yz, 4yz or 5yz; null: unchanged. */
  readonly after: readonly [Position | null, Position | null, Position | null, Position | null];
  /** The only code of its class that leads there; other codes of the class count as 5yz. */
  readonly only?: number;
};

const GROUPED: TransitionRow = { at: ["command"], sent: "command", after: [null, null, null, null] };
const SINGLE: TransitionRow = {
  at: ["command"],
  sent: "await-reply",
  after: ["command", "command", "command", "command"],
};

/** The table: verb -> row. "connect" represents the connection, "." a message's end, "" a response to a challenge. */
// biome-ignore format: a table
export const TRANSITIONS: Readonly<Record<string, TransitionRow>> = {
  connect:   { at: ["connected"],              sent: "connected",   after: ["command", "command", "command", "command"] },
  EHLO:      SINGLE,
  LHLO:      SINGLE,
  HELO:      SINGLE,
  STARTTLS:  { at: ["command"],                sent: "await-reply", after: ["ready-for-tls", "command", "command", "command"], only: 220 },
  AUTH:      { at: ["command"],                sent: "await-reply", after: ["command", "auth", "command", "command"], only: 334 },
  "":        { at: ["command", "auth"],        sent: "await-reply", after: ["command", "auth", "command", "command"], only: 334 },
  MAIL:      GROUPED,
  RCPT:      GROUPED,
  RSET:      GROUPED,
  BDAT:      GROUPED,
  DATA:      { at: ["command"],                sent: "await-reply", after: ["command", "body", "command", "command"], only: 354 },
  ".":       { at: ["body"],                   sent: "command",     after: ["closing", "closing", "closing", "closing"] },
  END:       { at: ["command", "caller-body"], sent: "await-reply", after: ["command", "command", "command", "command"] },
  QUIT:      { at: ["command"],                sent: "closing",     after: [null, null, null, null] },
  other:     SINGLE,
};

/** The reason why the session ends. */
export type Fault =
  | ReplyFault
  | { readonly kind: "unexpected" | "closing"; readonly detail: string; readonly reply: Reply };

/** Has a pending reply: a command, or a message's envelope in one group. */
export type PendingCommand = Command | EnvelopeGroup;

/** A command, or a group, and a reply to it. */
export type Exchange = { readonly command: PendingCommand; readonly reply: RawReply };

/** The result of received bytes: complete exchanges in order, and a fault after them. */
export type Received = { readonly exchanges: readonly Exchange[]; readonly fault: Fault | undefined };

/** Maximum bytes of a reply line, of a reply, and of the reply to EHLO. */
export type Limits = { readonly line: number; readonly reply: number; readonly ehlo: number };

/** These limits, and the minimum bytes of a message that the server accepts per second. */
export type SessionLimits = Limits & { readonly minRate: number };

/** RFC 5321 4.5.3.1.5 requires 512 bytes a line; servers exceed that, but not by this much. The rate is Postfix's. */
export const DEFAULT_LIMITS: SessionLimits = { line: 8192, reply: 65_536, ehlo: 262_144, minRate: 500 };

/** One session's dialogue with a server. It begins with the server's greeting. */
export class Dialogue {
  readonly #limits: Limits;
  readonly #isLmtp: boolean;
  readonly #parser = new ReplyParser();
  #position: Position = "connected";
  #pending: PendingCommand[] = [];
  #first = 0;
  /** Represents the end of the message whose DATA was sent. */
  #body: PendingCommand | undefined;
  /** The last BDAT of a message, if nothing was sent after it. */
  #lastChunk: Command | undefined;
  /** The number of pending replies to the end of a message, in LMTP, after the first. */
  #finalReplies = 0;
  #accepted = 0;
  #transactionOpen = false;
  /** Whether a transaction was open before the last MAIL. */
  #wasOpen = false;
  /** True from the refusal of a chunk until the next RSET or EHLO. */
  #chunkRefused = false;
  #callerReplies = 0;
  readonly #unfetched: string[] = [];

  /** `greeting` represents the connection: the server's greeting is its reply. */
  constructor(greeting: Command, { limits, protocol }: { limits: Limits; protocol: "smtp" | "lmtp" }) {
    this.#limits = limits;
    this.#isLmtp = protocol === "lmtp";
    this.#await(greeting);
  }

  /** The sender's state. */
  get position(): Position {
    return this.#position;
  }

  /** The number of pending replies; includes the final reply of a body that is being written. */
  get pendingReplies(): number {
    let replies = 0;
    for (let at = this.#first; at < this.#pending.length; at++) {
      const command = this.#pending[at];
      replies += command instanceof EnvelopeGroup ? command.pendingReplies : 1;
    }
    return replies;
  }

  /** The command, or the group, that the next reply answers. */
  get oldestPending(): PendingCommand | undefined {
    return this.#pending[this.#first];
  }

  /**
   * True between MAIL and the end of its transaction: another MAIL needs RSET first (RFC 5321 4.1.4). After BDAT LAST,
   * that end is its positive reply: a sender that does not wait for it has to send RSET (RFC 3030 2).
   */
  get transactionOpen(): boolean {
    return this.#transactionOpen;
  }

  /** The number of accepted recipients of the transaction, among the replies so far. */
  get acceptedRecipients(): number {
    return this.#accepted;
  }

  /** True if bytes arrived that form no reply: after the 220 to STARTTLS they are an attack (RFC 3207 4.2). */
  get hasUnreadBytes(): boolean {
    return !this.#parser.empty;
  }

  /** The reason why no command may be sent: the caller has not fetched the reply to its own command. */
  get unfetchedReason(): string | undefined {
    return this.#unfetched[0];
  }

  /** The unread text, for an error message. */
  get unreadText(): string {
    return this.#parser.rest;
  }

  /** True if RSET must precede a command, because a chunk was refused (RFC 3030 2). */
  needsReset(verb: string): boolean {
    return this.#chunkRefused && !/^(RSET|QUIT|EHLO|LHLO|HELO)$/.test(verb);
  }

  /**
   * Puts a command into `out`; its reply is then pending. With DATA, `end` represents the message's last line: an early
   * reply while the body is written answers it.
   * @throws {SMTPException} if the command is not permitted now; `out` stays unchanged then
   */
  send(command: Command, out: Output, end?: Command): void {
    const { verb } = command;
    const row = TRANSITIONS[verb] ?? SINGLE;
    if (verb === "." || !row.at.includes(this.#position)) {
      throw new SMTPException(`${verb || "a response"} cannot be sent now (${this.#position})`);
    }
    if (end !== undefined) this.#body = end;
    this.#callerReplies = 0;
    if (verb === "MAIL") {
      this.#wasOpen = this.#transactionOpen;
      this.#transactionOpen = true;
    } else if (verb === "RSET") this.#transactionOpen = false;
    this.#lastChunk = command.endsMessage ? command : undefined;
    this.#position = row.sent;
    this.#await(command);
    out.addText(command.wire);
  }

  /**
   * Puts a message's envelope into `out`; its replies and the reply to the message are then pending.
   * @throws {SMTPException} if no transaction can begin now; `out` stays unchanged then
   */
  sendEnvelope(envelope: EnvelopeGroup, out: Output): void {
    if (this.#position !== "command") throw new SMTPException(`MAIL cannot be sent now (${this.#position})`);
    this.#callerReplies = 0;
    this.#wasOpen = this.#transactionOpen;
    this.#transactionOpen = true;
    this.#lastChunk = undefined;
    this.#body = envelope;
    this.#position = "await-reply";
    this.#await(envelope);
    out.addText(envelope.wire);
  }

  /** Call after the body and its end are sent: the next transaction may open. */
  endBody(): void {
    this.#transactionOpen = false;
    this.#body = undefined;
    this.#position = "command";
  }

  /** Makes the next reply answer `command`: Python's `getreply()`. */
  awaitCallerReply(command: Command): Received {
    this.#await(command);
    return this.#drain();
  }

  /** Keeps this many unsolicited replies, to lines of the caller's own, for `awaitCallerReply`. */
  allowCallerReplies(lines = 1): void {
    this.#callerReplies += lines;
  }

  /** Requires that the reply to one of these lines is fetched before the next command; `why` is the error. */
  requireFetch(why: string): void {
    this.#unfetched.push(why);
  }

  /** Processes the server's bytes. The array may be reused afterwards. */
  receive(bytes: Uint8Array): Received {
    this.#parser.push(bytes);
    const received = this.#drain();
    this.#parser.settle();
    return received;
  }

  /** TLS has started: resets the state from before it (RFC 3207 4.2). */
  tlsStarted(): void {
    this.#position = "command";
    this.#transactionOpen = false;
    this.#accepted = 0;
  }

  /** Ends the dialogue; returns all commands with pending replies, in order. */
  end(): readonly PendingCommand[] {
    const rest = this.#pending.slice(this.#first);
    this.#first = this.#pending.length;
    this.#position = "closed";
    return rest;
  }

  #await(command: PendingCommand): void {
    if (this.#first > 64) {
      this.#pending = this.#pending.slice(this.#first);
      this.#first = 0;
    }
    this.#pending.push(command);
  }

  #drain(): Received {
    const exchanges: Exchange[] = [];
    for (;;) {
      const command = this.oldestPending;
      if (command === undefined) return { exchanges, fault: this.#surplus() };
      const reply = this.#nextReply(command.verb);
      if (reply === undefined) return { exchanges, fault: this.#parser.fault };
      if (command instanceof EnvelopeGroup) this.#groupAnswered(command, reply);
      else this.#answered(command, reply.code);
      exchanges.push({ command, reply });
      if (reply.code === 421) return { exchanges, fault: lastWord(reply) };
    }
  }

  /** Handles an unsolicited reply. */
  #surplus(): Fault | undefined {
    if (this.#position === "ready-for-tls" || this.#parser.empty) return undefined;
    if (this.#callerReplies > 0 && this.#parser.waiting <= this.#limits.reply) return undefined;
    const reply = this.#nextReply("?");
    return reply === undefined ? this.#parser.fault : lastWord(reply);
  }

  #nextReply(verb: string): RawReply | undefined {
    const { line, reply, ehlo } = this.#limits;
    // RFC 4954 4 allows 12,288 bytes in a line of an AUTH exchange, more than in other lines.
    const mostInLine = verb === "AUTH" || verb === "" ? 2 * line : line;
    return this.#parser.next(mostInLine, verb === "EHLO" || verb === "LHLO" ? ehlo : reply);
  }

  /** Processes a reply to a command. */
  #answered(command: Command, code: number): void {
    const { verb } = command;
    if (command.endsMessage && this.#moreFinalReplies()) return;
    this.#first++;
    this.#count(command, code);
    if (verb === "?") this.#fetched();
    // Once the end of a message is sent, its replies no longer change the position.
    else if (verb !== "." || this.#position === "body") this.#move(verb, code);
  }

  /** Processes a reply to one of the commands of a group: only the reply to DATA and the final one change the position. */
  #groupAnswered(group: EnvelopeGroup, reply: RawReply): void {
    const isData = !group.isEnvelopeAnswered;
    group.take(reply);
    if (!group.isEnvelopeAnswered) return;
    this.#accepted = 0;
    if (isData) this.#move("DATA", reply.code);
    else if (this.#position === "body") this.#move(".", reply.code);
    if (!isData || this.#position !== "body") this.#first++;
  }

  /** In LMTP, a message has one reply for each accepted recipient (RFC 2033 4.2); RCPT's replies have all arrived. */
  #moreFinalReplies(): boolean {
    if (this.#isLmtp && this.#position !== "body") {
      if (this.#finalReplies === 0) this.#finalReplies = Math.max(1, this.#accepted);
      if (--this.#finalReplies > 0) return true;
    }
    this.#accepted = 0;
    return false;
  }

  /** Updates the transaction by a reply. */
  #count(command: Command, code: number): void {
    switch (command.verb) {
      case "RCPT":
        if (isPositive(code)) this.#accepted++;
        return;
      case "MAIL":
        this.#accepted = 0;
        // A refused second MAIL leaves the first one's transaction unchanged.
        if (!isPositive(code) && this.#first === this.#pending.length) this.#transactionOpen = this.#wasOpen;
        return;
      case "RSET":
        this.#accepted = 0;
        if (!isPositive(code)) this.#transactionOpen = true;
        this.#chunkRefused = false;
        return;
      case "BDAT":
        if (this.#lastChunk === command) this.#transactionOpen = !isPositive(code);
        if (!isPositive(code)) this.#chunkRefused = true;
        return;
      case "EHLO":
      case "HELO":
      case "LHLO":
        if (!isPositive(code)) return;
        this.#transactionOpen = false;
        this.#chunkRefused = false;
    }
  }

  /** The caller has fetched a reply. */
  #fetched(): void {
    if (this.#position === "caller-body") this.#position = "command";
    if (this.#callerReplies > 0) this.#callerReplies--;
    this.#unfetched.pop();
  }

  #move(verb: string, code: number): void {
    const { after, only } = TRANSITIONS[verb] ?? SINGLE;
    const column = Math.floor(code / 100) - 2;
    const isOther = only !== undefined && code !== only && column === Math.floor(only / 100) - 2;
    const position = after[isOther ? 3 : column];
    if (position == null) return;
    this.#position = position;
    if (verb === "DATA") this.#dataAnswered();
  }

  /** A message's final reply is pending while its body is written, except for the caller's own DATA. */
  #dataAnswered(): void {
    if (this.#position !== "body") this.#body = undefined;
    else if (this.#body === undefined) this.#position = "caller-body";
    else if (this.#body !== this.#pending[this.#first]) this.#await(this.#body);
  }
}

/** The fault for a reply that ends the session: 421, or an unsolicited one. */
function lastWord({ reply }: RawReply): Fault {
  const closing = reply.code === 421;
  const what = closing ? "the server is closing" : "a reply that nothing asked for";
  return { kind: closing ? "closing" : "unexpected", detail: `${what}: ${reply.code} ${reply.message}`, reply };
}
