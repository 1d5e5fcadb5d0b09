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
import { isPositive, makeReplyParser, type RawReply, type Reply, type ReplyFault } from "./reply.ts";

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
export type Exchange = { readonly command: Command; readonly reply: RawReply };

/** What came of some bytes: complete exchanges in order, and what ended the session after them. */
export type Received = { readonly exchanges: readonly Exchange[]; readonly fault: Fault | undefined };

/** How much the server may say: octets of a line, of a reply, and of the answer to EHLO. */
export type Limits = { readonly line: number; readonly reply: number; readonly ehlo: number };

/** The same, and how many octets of a message a second it has to take at least. */
export type SessionLimits = Limits & { readonly minRate: number };

/** RFC 5321 4.5.3.1.5 knows of 512 octets a line; real servers say more, none says this much. The rate is Postfix's. */
export const DEFAULT_LIMITS: SessionLimits = { line: 8192, reply: 65_536, ehlo: 262_144, minRate: 500 };

/** The verbs that others may follow in their group. */
const GROUPED = new Set(["MAIL", "RCPT", "RSET", "BDAT"]);

/** Position -> which verbs may be sent there; none at a position that is not here. */
const MAY_SEND: { readonly [position in Position]?: (verb: string) => boolean } = {
  command: (verb) => verb !== ".",
  auth: (verb) => verb === "",
  // The caller said DATA by docmd(), writes the message by send(), and ends it by docmd(".") or getreply().
  "own-body": (verb) => verb === "END",
};

/** One session's dialogue with a server. */
export type Dialogue = {
  /** How many replies are still awaited; while a body is being written its final reply counts. */
  readonly owed: number;
  /** Where the sender stands. */
  readonly position: Position;
  /** The command that the next reply belongs to. */
  readonly head: Command | undefined;
  /**
   * True between MAIL and the end of its transaction: another MAIL needs RSET first (RFC 5321 4.1.4). After the last
   * BDAT, that end is its positive reply: whoever does not wait for it has to say RSET (RFC 3030 2).
   */
  readonly transactionOpen: boolean;
  /** How many recipients of the transaction whose replies are here were accepted. */
  readonly acceptedRecipients: number;
  /** True if bytes are here that no reply was made of: after the 220 to STARTTLS they are an attack (RFC 3207 4.2). */
  readonly leftover: boolean;
  /** Why no command may be sent: the reply to one that the caller wrote himself was not fetched by him. */
  readonly unfetched: string | undefined;
  /** What stands unread, for an error message. */
  readonly rest: string;
  /** True if RSET has to come before a command, since a chunk was refused (RFC 3030 2). */
  needsReset(verb: string): boolean;
  /** All that is still awaited, in order; the dialogue is over. */
  end(): readonly Command[];
  /**
   * Puts a command into `out` and awaits its reply. With DATA, `end` stands for the message's last line: an early reply
   * while the body is written belongs to it.
   * @throws {SMTPException} if the command cannot stand here; nothing was put into `out` then
   */
  send(command: Command, out: Output, end?: Command): void;
  /** The body and its end are in `out`: the next transaction may open. */
  bodySent(): void;
  /** The next reply is wanted by the caller, whatever it answers: Python's `getreply()`. */
  awaitUnasked(command: Command): Received;
  /** The caller wrote lines of his own: so many replies that nothing awaits are kept for `awaitUnasked`. */
  keepUnasked(lines?: number): void;
  /** One of these lines was a whole command; `why` its reply has to be fetched before another command can be sent. */
  oweReply(why: string): void;
  /** Takes bytes from the server. The view may be used again afterwards. */
  receive(bytes: Uint8Array): Received;
  /** TLS is up: what was learnt in clear is forgotten (RFC 3207 4.2). */
  tlsStarted(): void;
};

/** A dialogue that begins with the server's greeting, for which `greeting` stands. */
export function makeDialogue(
  greeting: Command,
  { limits, protocol }: { limits: Limits; protocol: "smtp" | "lmtp" },
): Dialogue {
  const parser = makeReplyParser();
  let awaited: Command[] = [greeting];
  let first = 0;
  let position: Position = "connected";
  let body: Command | undefined;
  let lastChunk: Command | undefined;
  let finalReplies = 0;
  let accepted = 0;
  let mailSent = false;
  let wasOpen = false;
  let chunkRefused = false;
  let unasked = 0;
  const unfetched: string[] = [];

  const dialogue: Dialogue = {
    get owed() {
      return awaited.length - first;
    },

    get position() {
      return position;
    },

    get head() {
      return awaited[first];
    },

    get transactionOpen() {
      return mailSent;
    },

    get acceptedRecipients() {
      return accepted;
    },

    get leftover() {
      return !parser.empty;
    },

    get unfetched() {
      return unfetched[0];
    },

    get rest() {
      return parser.rest;
    },

    needsReset: (verb) => chunkRefused && !/^(RSET|QUIT|EHLO|LHLO|HELO)$/.test(verb),

    end() {
      const rest = awaited.slice(first);
      first = awaited.length;
      position = "closed";
      return rest;
    },

    send,

    bodySent() {
      mailSent = false;
      body = undefined;
      position = "command";
    },

    awaitUnasked(command) {
      awaitReply(command);
      return drain();
    },

    keepUnasked(lines = 1) {
      unasked += lines;
    },

    oweReply(why) {
      unfetched.push(why);
    },

    receive(bytes) {
      parser.push(bytes);
      const received = drain();
      parser.settle();
      return received;
    },

    tlsStarted() {
      position = "command";
      mailSent = false;
      accepted = 0;
    },
  };

  function send(command: Command, out: Output, end?: Command): void {
    const { verb } = command;
    if (!MAY_SEND[position]?.(verb)) {
      throw new SMTPException(`${verb || "a response"} cannot be sent now (${position})`);
    }
    if (end) body = end;
    unasked = 0;
    if (verb === "MAIL") {
      wasOpen = mailSent;
      mailSent = true;
    }
    if (verb === "RSET") mailSent = false;
    lastChunk = command.endsMessage ? command : undefined;
    position = afterSending(verb);
    awaitReply(command);
    out.addText(command.wire);
  }

  function awaitReply(command: Command): void {
    if (first > 64 && first === awaited.length) {
      awaited = [];
      first = 0;
    }
    awaited.push(command);
  }

  function drain(): Received {
    const exchanges: Exchange[] = [];
    for (let command = awaited[first]; command !== undefined; command = awaited[first]) {
      const reply = nextReply(command.verb);
      if (reply === undefined) return { exchanges, fault: parser.fault };
      answered(command, reply);
      exchanges.push({ command, reply });
      if (reply.code === 421) return { exchanges, fault: lastWord(reply) };
    }
    return { exchanges, fault: surplus() };
  }

  function surplus(): Fault | undefined {
    if (position === "ready-for-tls") return undefined;
    if (unasked > 0 && parser.waiting <= limits.reply) return undefined;
    const reply = nextReply("?");
    return reply === undefined ? parser.fault : lastWord(reply);
  }

  function answered(command: Command, { code }: RawReply): void {
    if (command.endsMessage && moreFinalReplies()) return;
    first++;
    switch (command.verb) {
      case "RCPT":
        if (isPositive(code)) accepted++;
        return;
      case "MAIL":
        accepted = 0;
        // A second MAIL that is refused leaves the first one's transaction as it was.
        if (!isPositive(code) && first === awaited.length) mailSent = wasOpen;
        return;
      case "RSET":
        accepted = 0;
        if (!isPositive(code)) mailSent = true;
        chunkRefused = false;
        return;
      case ".":
        if (position === "body") position = "closing";
        return;
      case "BDAT":
        if (lastChunk === command) mailSent = !isPositive(code);
        if (!isPositive(code)) chunkRefused = true;
        return;
      case "?":
        if (position === "own-body") position = "command";
        if (unasked > 0) unasked--;
        unfetched.pop();
        return;
      case "QUIT":
        return;
      default:
        position = afterReply(command.verb, code);
    }
  }

  /** LMTP answers a message once for each accepted recipient (RFC 2033 4.2), all of whose replies are here by now. */
  function moreFinalReplies(): boolean {
    if (protocol === "lmtp" && position !== "body") {
      if (finalReplies === 0) finalReplies = Math.max(1, accepted);
      if (--finalReplies > 0) return true;
    }
    accepted = 0;
    return false;
  }

  function afterReply(verb: string, code: number): Position {
    switch (verb) {
      case "":
      case "AUTH":
        return code === 334 ? "auth" : "command";
      case "STARTTLS":
        return code === 220 ? "ready-for-tls" : "command";
      case "EHLO":
      case "HELO":
      case "LHLO":
        if (isPositive(code)) {
          mailSent = false;
          chunkRefused = false;
        }
        return "command";
      case "DATA":
        if (code !== 354) body = undefined;
        if (body === undefined) return code === 354 ? "own-body" : "command";
        awaitReply(body);
        return "body";
      default:
        return "command";
    }
  }

  function nextReply(verb: string): RawReply | undefined {
    const { line, reply, ehlo } = limits;
    // RFC 4954 4 allows 12,288 octets in an AUTH exchange, more than a line has elsewhere.
    const mostInLine = verb === "AUTH" || verb === "" ? 2 * line : line;
    return parser.next(mostInLine, verb === "EHLO" || verb === "LHLO" ? ehlo : reply);
  }

  return dialogue;
}

/** Where the sender stands behind a command: with most, the next must wait for the reply (RFC 2920 3.1). */
function afterSending(verb: string): Position {
  if (verb === "QUIT") return "closing";
  return GROUPED.has(verb) ? "command" : "group-end";
}

/** A reply that ends the session: 421, or one that nothing asked for. */
function lastWord({ reply }: RawReply): Fault {
  const closing = reply.code === 421;
  const what = closing ? "the server is closing" : "a reply that nothing asked for";
  return { kind: closing ? "closing" : "unexpected", detail: `${what}: ${reply.code} ${reply.message}`, reply };
}
