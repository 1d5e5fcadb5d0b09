/**
 * The protocol's state, without I/O: which commands may be sent, and which command a reply answers. `transitions.ts`
 * has the table, with its rules.
 */
import { SMTPException } from "../errors.ts";
import type { Command } from "./command.ts";
import { EnvelopeGroup } from "./envelope-group.ts";
import { FlightGroup } from "./flight-group.ts";
import type { Limits } from "./limits.ts";
import type { Output } from "./output.ts";
import { PipeliningGroup } from "./pipelining-group.ts";
import { isPositive, type RawReply, type Reply, type ReplyFault, ReplyParser } from "./reply.ts";
import { type Position, SINGLE, TRANSITIONS } from "./transitions.ts";

/** The reason why the session ends. */
export type Fault =
  | ReplyFault
  | { readonly kind: "unexpected" | "closing"; readonly detail: string; readonly reply: Reply };

/** Commands of one message that are sent together. */
export type Group = EnvelopeGroup | FlightGroup;

/** Has a pending reply: a command, or a group of them. */
export type PendingCommand = Command | Group;

/** A command, or a group, and a reply to it. */
export type Exchange = { readonly command: PendingCommand; readonly reply: RawReply };

/** The result of received bytes: complete exchanges in order, and a fault after them. */
export type Received = { readonly exchanges: readonly Exchange[]; readonly fault: Fault | undefined };

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
  /** The last BDAT of a message, or the group that ends with it, if nothing was sent after it. */
  #lastChunk: PendingCommand | undefined;
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
      replies += command instanceof PipeliningGroup ? command.pendingReplies : 1;
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
   * Puts the commands of a group into `out`; its replies are then pending. The content follows after the reply to DATA,
   * or at once after BDAT.
   * @throws {SMTPException} if no command may be sent now; `out` stays unchanged then
   */
  sendGroup(group: Group, out: Output): void {
    if (this.#position !== "command") throw new SMTPException(`${group.verb} cannot be sent now (${this.#position})`);
    this.#callerReplies = 0;
    if (group instanceof EnvelopeGroup) this.#envelopeSent(group);
    else this.#flightSent(group);
    this.#await(group);
    out.addText(group.wire);
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

  #envelopeSent(group: EnvelopeGroup): void {
    this.#wasOpen = this.#transactionOpen;
    this.#transactionOpen = true;
    this.#lastChunk = undefined;
    this.#body = group;
    this.#position = "await-reply";
  }

  /** A flight begins with RSET, and its transaction stays open until the reply to its end. */
  #flightSent(flight: FlightGroup): void {
    this.#wasOpen = false;
    this.#transactionOpen = true;
    this.#lastChunk = flight;
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
      if (command instanceof EnvelopeGroup) this.#envelopeAnswered(command, reply);
      else if (command instanceof FlightGroup) this.#flightAnswered(command, reply);
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

  /** Processes a reply to a command of a group: only the reply to DATA and the final one change the position. */
  #envelopeAnswered(group: EnvelopeGroup, reply: RawReply): void {
    const isData = !group.isEnvelopeAnswered;
    group.take(reply);
    if (!group.isEnvelopeAnswered) return;
    this.#accepted = 0;
    if (isData) this.#move("DATA", reply.code);
    else if (this.#position === "body") this.#move(".", reply.code);
    if (!isData || this.#position !== "body") this.#first++;
  }

  /** Processes a reply to one of the commands of a whole message: its RSET and its end change the transaction. */
  #flightAnswered(flight: FlightGroup, reply: RawReply): void {
    const isReset = flight.replies.length === 0;
    flight.take(reply);
    if (isReset) this.#resetAnswered(reply.code);
    if (!flight.isAnswered) return;
    this.#first++;
    this.#accepted = 0;
    this.#chunkAnswered(flight, reply.code);
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
        return this.#resetAnswered(code);
      case "BDAT":
        return this.#chunkAnswered(command, code);
      case "EHLO":
      case "HELO":
      case "LHLO":
        if (!isPositive(code)) return;
        this.#transactionOpen = false;
        this.#chunkRefused = false;
    }
  }

  #resetAnswered(code: number): void {
    this.#accepted = 0;
    if (!isPositive(code)) this.#transactionOpen = true;
    this.#chunkRefused = false;
  }

  #chunkAnswered(command: PendingCommand, code: number): void {
    if (this.#lastChunk === command) this.#transactionOpen = !isPositive(code);
    if (!isPositive(code)) this.#chunkRefused = true;
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
