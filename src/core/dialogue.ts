/**
 * The protocol's state, without I/O: what may be sent now, and which command a reply belongs to.
 *
 * Rules:
 * 1. Replies answer commands in the order in which the commands were sent.
 * 2. The position is where the sender stands. It moves with each command that is sent, and again with the reply where the
 *    table has one for it. A command that ends a group (RFC 2920 3.1) leads to "await-reply", at which nothing may be sent.
 *    So lock-step and pipelining are one code: a sender that does not wait meets the same table.
 * 3. Once the end of a message is on its way, the next transaction may open; its replies simply come later.
 * 4. A reply that nothing awaits, a broken reply, or a 421 ends the session. What was complete before still counts.
 */

import { SMTPException } from "../errors.ts";
import type { Command } from "./command.ts";
import type { Output } from "./output.ts";
import { isPositive, type RawReply, type Reply, type ReplyFault, ReplyParser } from "./reply.ts";

/** Where the sender stands. */
export type Position =
  /** The greeting is awaited. */
  | "connected"
  /** Any command may be sent. */
  | "command"
  /** A command was sent behind which nothing may be sent before its reply is here. */
  | "await-reply"
  /** DATA was answered by 354: the content is being written. */
  | "body"
  /** The same for a DATA that the caller sent by `docmd()`: `send()` writes the content, `docmd(".")` ends it. */
  | "caller-body"
  /** The server waits for the answer to a challenge. */
  | "auth"
  /** STARTTLS was answered by 220. */
  | "ready-for-tls"
  /** The server ends the session next. */
  | "closing"
  | "closed";

/** A row of `TRANSITIONS`. */
export type TransitionRow = {
  /** Where the command may be sent. */
  readonly at: readonly Position[];
  /** The position after sending. */
  readonly sent: Position;
  /** The position after a reply of the class 2yz, 3yz, 4yz or 5yz; null: it stays. */
  readonly after: readonly [Position | null, Position | null, Position | null, Position | null];
  /** The one code of its class that leads there; another one is as good as 5yz. */
  readonly only?: number;
};

const GROUPED: TransitionRow = { at: ["command"], sent: "command", after: [null, null, null, null] };
const SINGLE: TransitionRow = {
  at: ["command"],
  sent: "await-reply",
  after: ["command", "command", "command", "command"],
};

/** The table: verb -> row. "connect" stands for the connection, "." for a message's end, "" for an answer to a challenge. */
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

/** What ends the session. */
export type Fault =
  | ReplyFault
  | { readonly kind: "unexpected" | "closing"; readonly detail: string; readonly reply: Reply };

/** A command and the reply to it. */
export type Exchange = { readonly command: Command; readonly reply: RawReply };

/** What came of some bytes: complete exchanges in order, and what ended the session after them. */
export type Received = { readonly exchanges: readonly Exchange[]; readonly fault: Fault | undefined };

/** How much the server may say: octets of a line, of a reply, and of the answer to EHLO. */
export type Limits = { readonly line: number; readonly reply: number; readonly ehlo: number };

/** The same, and how many octets of a message a second it has to take at least. */
export type SessionLimits = Limits & { readonly minRate: number };

/** RFC 5321 4.5.3.1.5 knows of 512 octets a line; real servers say more, none says this much. The rate is Postfix's. */
export const DEFAULT_LIMITS: SessionLimits = { line: 8192, reply: 65_536, ehlo: 262_144, minRate: 500 };

/** One session's dialogue with a server. It begins with the server's greeting. */
export class Dialogue {
  readonly #limits: Limits;
  readonly #isLmtp: boolean;
  readonly #parser = new ReplyParser();
  #position: Position = "connected";
  #pending: Command[] = [];
  #first = 0;
  /** Stands for the end of the message whose DATA was sent. */
  #body: Command | undefined;
  /** The last BDAT of a message, if nothing was sent behind it. */
  #lastChunk: Command | undefined;
  /** How many replies to the end of a message are still to come, in LMTP, after the first. */
  #finalReplies = 0;
  #accepted = 0;
  #transactionOpen = false;
  /** Whether a transaction was open when MAIL was sent last. */
  #wasOpen = false;
  /** True from the refusal of a chunk to the next RSET or EHLO. */
  #chunkRefused = false;
  #callerReplies = 0;
  readonly #unfetched: string[] = [];

  /** `greeting` stands for the connection: the server's greeting is the reply to it. */
  constructor(greeting: Command, { limits, protocol }: { limits: Limits; protocol: "smtp" | "lmtp" }) {
    this.#limits = limits;
    this.#isLmtp = protocol === "lmtp";
    this.#await(greeting);
  }

  /** Where the sender stands. */
  get position(): Position {
    return this.#position;
  }

  /** How many replies are awaited; while a body is being written its final reply counts. */
  get pendingReplies(): number {
    return this.#pending.length - this.#first;
  }

  /** The command that the next reply belongs to. */
  get oldestPending(): Command | undefined {
    return this.#pending[this.#first];
  }

  /**
   * True between MAIL and the end of its transaction: another MAIL needs RSET first (RFC 5321 4.1.4). After BDAT LAST,
   * that end is its positive reply: a sender that does not wait for it has to send RSET (RFC 3030 2).
   */
  get transactionOpen(): boolean {
    return this.#transactionOpen;
  }

  /** How many recipients of the transaction whose replies are here were accepted. */
  get acceptedRecipients(): number {
    return this.#accepted;
  }

  /** True if bytes are here that no reply was made of: after the 220 to STARTTLS they are an attack (RFC 3207 4.2). */
  get hasUnreadBytes(): boolean {
    return !this.#parser.empty;
  }

  /** Why no command may be sent: the caller has not fetched the reply to a command that it wrote itself. */
  get unfetchedReason(): string | undefined {
    return this.#unfetched[0];
  }

  /** What is unread, for an error message. */
  get unreadText(): string {
    return this.#parser.rest;
  }

  /** True if RSET has to come before a command, since a chunk was refused (RFC 3030 2). */
  needsReset(verb: string): boolean {
    return this.#chunkRefused && !/^(RSET|QUIT|EHLO|LHLO|HELO)$/.test(verb);
  }

  /**
   * Puts a command into `out` and awaits its reply. With DATA, `end` stands for the message's last line: an early reply
   * while the body is written belongs to it.
   * @throws {SMTPException} if the command cannot stand here; nothing was put into `out` then
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

  /** The body and its end are sent: the next transaction may open. */
  endBody(): void {
    this.#transactionOpen = false;
    this.#body = undefined;
    this.#position = "command";
  }

  /** The caller awaits the next reply, whatever it answers: Python's `getreply()`. */
  awaitCallerReply(command: Command): Received {
    this.#await(command);
    return this.#drain();
  }

  /** The caller wrote lines of its own: so many replies that nothing awaits are kept for `awaitCallerReply`. */
  allowCallerReplies(lines = 1): void {
    this.#callerReplies += lines;
  }

  /** One of these lines was a whole command; `why` its reply has to be fetched before another command can be sent. */
  requireFetch(why: string): void {
    this.#unfetched.push(why);
  }

  /** Takes bytes from the server. The view may be used again afterwards. */
  receive(bytes: Uint8Array): Received {
    this.#parser.push(bytes);
    const received = this.#drain();
    this.#parser.settle();
    return received;
  }

  /** TLS is up: what was learnt in clear is forgotten (RFC 3207 4.2). */
  tlsStarted(): void {
    this.#position = "command";
    this.#transactionOpen = false;
    this.#accepted = 0;
  }

  /** The dialogue is over: returns all that is still awaited, in order. */
  end(): readonly Command[] {
    const rest = this.#pending.slice(this.#first);
    this.#first = this.#pending.length;
    this.#position = "closed";
    return rest;
  }

  #await(command: Command): void {
    if (this.#first > 64 && this.#first === this.#pending.length) {
      this.#pending = [];
      this.#first = 0;
    }
    this.#pending.push(command);
  }

  #drain(): Received {
    const exchanges: Exchange[] = [];
    for (let command = this.#pending[this.#first]; command !== undefined; command = this.#pending[this.#first]) {
      const reply = this.#nextReply(command.verb);
      if (reply === undefined) return { exchanges, fault: this.#parser.fault };
      this.#answered(command, reply.code);
      exchanges.push({ command, reply });
      if (reply.code === 421) return { exchanges, fault: lastWord(reply) };
    }
    return { exchanges, fault: this.#surplus() };
  }

  /** A reply that nothing awaits. */
  #surplus(): Fault | undefined {
    if (this.#position === "ready-for-tls" || this.#parser.empty) return undefined;
    if (this.#callerReplies > 0 && this.#parser.waiting <= this.#limits.reply) return undefined;
    const reply = this.#nextReply("?");
    return reply === undefined ? this.#parser.fault : lastWord(reply);
  }

  #nextReply(verb: string): RawReply | undefined {
    const { line, reply, ehlo } = this.#limits;
    // RFC 4954 4 allows 12,288 octets in an AUTH exchange, more than a line has elsewhere.
    const mostInLine = verb === "AUTH" || verb === "" ? 2 * line : line;
    return this.#parser.next(mostInLine, verb === "EHLO" || verb === "LHLO" ? ehlo : reply);
  }

  #answered(command: Command, code: number): void {
    const { verb } = command;
    if (command.endsMessage && this.#moreFinalReplies()) return;
    this.#first++;
    this.#count(command, code);
    if (verb === "?") this.#fetched();
    // Once the end of a message is sent, its replies no longer move the sender.
    else if (verb !== "." || this.#position === "body") this.#move(verb, code);
  }

  /** LMTP answers a message once for each accepted recipient (RFC 2033 4.2), all of whose replies are here by now. */
  #moreFinalReplies(): boolean {
    if (this.#isLmtp && this.#position !== "body") {
      if (this.#finalReplies === 0) this.#finalReplies = Math.max(1, this.#accepted);
      if (--this.#finalReplies > 0) return true;
    }
    this.#accepted = 0;
    return false;
  }

  /** What a reply means for the transaction. */
  #count(command: Command, code: number): void {
    switch (command.verb) {
      case "RCPT":
        if (isPositive(code)) this.#accepted++;
        return;
      case "MAIL":
        this.#accepted = 0;
        // A second MAIL that is refused leaves the first one's transaction as it was.
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

  /** The final reply of a message is awaited while its body is written; the caller's own DATA has none to await. */
  #dataAnswered(): void {
    if (this.#position !== "body") this.#body = undefined;
    else if (this.#body === undefined) this.#position = "caller-body";
    else this.#await(this.#body);
  }
}

/** A reply that ends the session: 421, or one that nothing asked for. */
function lastWord({ reply }: RawReply): Fault {
  const closing = reply.code === 421;
  const what = closing ? "the server is closing" : "a reply that nothing asked for";
  return { kind: closing ? "closing" : "unexpected", detail: `${what}: ${reply.code} ${reply.message}`, reply };
}
