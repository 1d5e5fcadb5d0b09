/**
 * The protocol's state, without I/O: what may be sent now, and which command a reply belongs to.
 *
 * Rules:
 * 1. Commands are awaited in the order they were sent; each reply belongs to the first that is still awaited.
 * 2. `position` is how far the sender has come. It moves with each command sent; where a command ends a group
 *    (RFC 2920 3.1) it moves on only when the reply is here. So lock-step and pipelining are one code:
 *    who sends without waiting meets the same table.
 * 3. Once the end of a message is on its way, the next transaction may open; its replies simply come later.
 * 4. A reply that nothing awaits, a broken reply, or a 421 ends the session. What was complete before still counts.
 */

import { SMTPException } from "../errors.ts";
import type { Output } from "./bytes.ts";
import type { Command } from "./command.ts";
import { isPositive, type Reply, type ReplyFault, type ReplyLimit, ReplyParser } from "./reply.ts";

/** Where the sender stands: the rows of the table below. */
export type Position =
  | "connected"
  | "command"
  | "group-end"
  | "body"
  | "own-body"
  | "auth"
  | "ready-for-tls"
  | "closing"
  | "closed";

/** What ends the session. */
export type Fault =
  | ReplyFault
  | { readonly kind: "unexpected" | "closing"; readonly detail: string; readonly reply: Reply };

/** A command and the reply to it. */
export type Exchange = { readonly command: Command; readonly reply: Reply };

/** What came of some bytes: complete exchanges in order, and what ended the session after them. */
export type Received = { readonly exchanges: readonly Exchange[]; readonly fault: Fault | undefined };

/** How much the server may say: octets of a line, of a reply, and of the answer to EHLO. */
export type Limits = { readonly line: number; readonly reply: number; readonly ehlo: number };

/** RFC 5321 4.5.3.1.5 knows of 512 octets a line; real servers say more, none says this much. */
export const DEFAULT_LIMITS: Limits = { line: 8192, reply: 65_536, ehlo: 262_144 };

/** Verb -> where the sender stands behind it; where one is not here, the next must wait for its reply (RFC 2920 3.1). */
const AFTER_SENDING: { readonly [verb: string]: Position } = {
  MAIL: "command",
  RCPT: "command",
  RSET: "command",
  BDAT: "command",
  QUIT: "closing",
};

/** Position -> which verbs may be sent there; none at a position that is not here. */
const MAY_SEND: { readonly [position in Position]?: (verb: string) => boolean } = {
  command: (verb) => verb !== ".",
  auth: (verb) => verb === "",
  // The caller said DATA by docmd(), writes the message by send(), and ends it by docmd(".") or getreply().
  "own-body": (verb) => verb === "END",
};

/** One session's dialogue with a server. */
export class Dialogue {
  readonly #parser = new ReplyParser();
  readonly #limits: Limits;
  readonly #lmtp: boolean;
  #awaited: Command[] = [];
  #first = 0;
  #position: Position = "connected";
  #body: Command | undefined;
  #lastChunk: Command | undefined;
  #finalReplies = 0;
  #accepted = 0;
  #mailSent = false;
  #wasOpen = false;
  #unasked = 0;
  #unfetched = 0;

  /** A dialogue that begins with the server's greeting, for which `greeting` stands. */
  constructor(greeting: Command, settings: { limits: Limits; protocol: "smtp" | "lmtp" }) {
    this.#limits = settings.limits;
    this.#lmtp = settings.protocol === "lmtp";
    this.#awaited.push(greeting);
  }

  /** How many replies are still awaited; while a body is being written its final reply counts. */
  get owed(): number {
    return this.#awaited.length - this.#first;
  }

  /** Where the sender stands. */
  get position(): Position {
    return this.#position;
  }

  /** The command that the next reply belongs to. */
  get head(): Command | undefined {
    return this.#awaited[this.#first];
  }

  /**
   * True between MAIL and the end of its transaction: another MAIL needs RSET first (RFC 5321 4.1.4). After the last
   * BDAT, that end is its positive reply: whoever does not wait for it has to say RSET (RFC 3030 2).
   */
  get transactionOpen(): boolean {
    return this.#mailSent;
  }

  /** How many recipients of the transaction whose replies are here were accepted. */
  get acceptedRecipients(): number {
    return this.#accepted;
  }

  /** True if bytes are here that no reply was made of: after the 220 to STARTTLS they are an attack (RFC 3207 4.2). */
  get unread(): boolean {
    return !this.#parser.empty;
  }

  /** True if the reply to a command that the caller wrote himself was not fetched by him. */
  get unfetched(): boolean {
    return this.#unfetched > 0;
  }

  /** What stands unread, for an error message. */
  get rest(): string {
    return this.#parser.rest;
  }

  /** All that is still awaited, in order; the dialogue is over. */
  end(): readonly Command[] {
    const awaited = this.#awaited.slice(this.#first);
    this.#first = this.#awaited.length;
    this.#position = "closed";
    return awaited;
  }

  /**
   * Puts a command into `out` and awaits its reply.
   * @throws {SMTPException} if the command cannot stand here; nothing was put into `out` then
   */
  send(command: Command, out: Output): void {
    if (!MAY_SEND[this.#position]?.(command.verb)) {
      throw new SMTPException(`${command.verb || "a response"} cannot be sent now (${this.#position})`);
    }
    this.#unasked = 0;
    if (command.verb === "MAIL") {
      this.#wasOpen = this.#mailSent;
      this.#mailSent = true;
    }
    if (command.verb === "RSET") this.#mailSent = false;
    this.#lastChunk = command.endsMessage ? command : undefined;
    this.#position = AFTER_SENDING[command.verb] ?? "group-end";
    this.#await(command);
    out.addText(command.wire);
  }

  /** For DATA: `end` stands for the message's last line; an early reply while the body is written belongs to it. */
  sendData(data: Command, end: Command, out: Output): void {
    this.send(data, out);
    this.#body = end;
  }

  /** The body and its end are in `out`: the next transaction may open. */
  bodySent(): void {
    this.#mailSent = false;
    this.#body = undefined;
    this.#position = "command";
  }

  /** The next reply is wanted by the caller, whatever it answers: Python's `getreply()`. */
  awaitUnasked(command: Command): Received {
    this.#await(command);
    return this.#drain();
  }

  /** The caller wrote lines of his own: so many replies that nothing awaits are kept for `awaitUnasked`. */
  keepUnasked(lines = 1): void {
    this.#unasked += lines;
  }

  /** One of these lines was a whole command, whose reply has to be fetched before another command can be sent. */
  oweReply(): void {
    this.#unfetched++;
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
    this.#mailSent = false;
    this.#accepted = 0;
  }

  #await(command: Command): void {
    if (this.#first > 64 && this.#first === this.#awaited.length) {
      this.#awaited = [];
      this.#first = 0;
    }
    this.#awaited.push(command);
  }

  #drain(): Received {
    const exchanges: Exchange[] = [];
    for (let command = this.head; command !== undefined; command = this.head) {
      const reply = this.#parser.next(this.#limitFor(command.verb));
      if (reply === undefined) return { exchanges, fault: this.#parser.fault };
      this.#answered(command, reply);
      exchanges.push({ command, reply });
      if (reply.code === 421) return { exchanges, fault: lastWord(reply) };
    }
    return { exchanges, fault: this.#surplus() };
  }

  #surplus(): Fault | undefined {
    if (this.#position === "ready-for-tls") return undefined;
    if (this.#unasked > 0 && this.#parser.waiting <= this.#limits.reply) return undefined;
    const reply = this.#parser.next(this.#limitFor("?"));
    return reply === undefined ? this.#parser.fault : lastWord(reply);
  }

  #answered(command: Command, reply: Reply): void {
    if (command.endsMessage && this.#moreFinalReplies()) return;
    this.#first++;
    switch (command.verb) {
      case "RCPT":
        if (isPositive(reply.code)) this.#accepted++;
        return;
      case "MAIL":
        this.#accepted = 0;
        // A second MAIL that is refused leaves the first one's transaction as it was.
        if (!isPositive(reply.code) && this.owed === 0) this.#mailSent = this.#wasOpen;
        return;
      case "RSET":
        this.#accepted = 0;
        if (!isPositive(reply.code)) this.#mailSent = true;
        return;
      case ".":
        if (this.#position === "body") this.#position = "closing";
        return;
      case "BDAT":
        if (this.#lastChunk === command) this.#mailSent = !isPositive(reply.code);
        return;
      case "?":
        if (this.#position === "own-body") this.#position = "command";
        this.#unasked = Math.max(0, this.#unasked - 1);
        this.#unfetched = Math.max(0, this.#unfetched - 1);
        return;
      case "QUIT":
        return;
      default:
        this.#position = this.#afterReply(command.verb, reply.code);
    }
  }

  /** LMTP answers a message once for each accepted recipient (RFC 2033 4.2), all of whose replies are here by now. */
  #moreFinalReplies(): boolean {
    if (this.#lmtp && this.#position !== "body") {
      if (this.#finalReplies === 0) this.#finalReplies = Math.max(1, this.#accepted);
      if (--this.#finalReplies > 0) return true;
    }
    this.#accepted = 0;
    return false;
  }

  #afterReply(verb: string, code: number): Position {
    switch (verb) {
      case "":
      case "AUTH":
        return code === 334 ? "auth" : "command";
      case "STARTTLS":
        return code === 220 ? "ready-for-tls" : "command";
      case "EHLO":
      case "HELO":
      case "LHLO":
        if (isPositive(code)) this.#mailSent = false;
        return "command";
      case "DATA":
        if (code !== 354) this.#body = undefined;
        if (this.#body === undefined) return code === 354 ? "own-body" : "command";
        this.#await(this.#body);
        return "body";
      default:
        return "command";
    }
  }

  #limitFor(verb: string): ReplyLimit {
    const { line, reply, ehlo } = this.#limits;
    return {
      // RFC 4954 4 allows 12,288 octets in an AUTH exchange, more than a line has elsewhere.
      line: verb === "AUTH" || verb === "" ? line * 2 : line,
      octets: verb === "EHLO" || verb === "LHLO" ? ehlo : reply,
    };
  }
}

/** A reply that ends the session: 421, or one that nothing asked for. */
function lastWord(reply: Reply): Fault {
  const [kind, what] =
    reply.code === 421
      ? (["closing", "the server is closing"] as const)
      : (["unexpected", "a reply that nothing asked for"] as const);
  return { kind, detail: `${what}: ${reply.code} ${reply.message}`, reply };
}
