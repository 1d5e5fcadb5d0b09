/** Decides whether messages use BDAT (RFC 3030), by the caller's option and by how the server has replied to it. */
import type { EightBitPolicy, SendingPolicy } from "../core/plan.ts";
import type { RawReply } from "../core/reply.ts";
import { SMTPDataError } from "../errors.ts";
import { type Connection, GRACE } from "./connection.ts";
import type { Pipelining } from "./session.ts";
import { disconnected } from "./session-end.ts";

/** Codes for an unknown verb or form (RFC 5321 4.2.4); servers refuse a message with other codes. */
const UNKNOWN_COMMAND: ReadonlySet<number> = new Set([500, 502, 504]);

/** The option `chunking` of one `SMTP`, or of all connections of a pool. */
export class Chunking {
  readonly #asked: boolean | undefined;
  #bdatUnknown = false;
  #where = "";

  constructor(asked: boolean | undefined) {
    this.#asked = asked;
  }

  /** The effective option: false once a server did not know BDAT, unless the caller insists. */
  get permitted(): boolean | undefined {
    return this.#bdatUnknown ? false : this.#asked;
  }

  /** Forgets the replies of one server when another is used. */
  connectsTo(where: string): void {
    if (where !== this.#where) this.#bdatUnknown = false;
    this.#where = where;
  }

  /**
   * Returns an error if the replies to one BDAT report an unknown command, otherwise undefined. The server may have
   * read the content as commands: the connection must be dropped. The same message may be sent by DATA. In LMTP the
   * last BDAT has several replies, and one with another code shows that the command is known.
   */
  unknownBy(replies: readonly RawReply[], connection: Connection): SMTPDataError | undefined {
    const [first] = replies;
    if (first === undefined || !seemsUnknown(replies, connection)) return undefined;
    const { code, message, reply } = first;
    const insists = this.#asked === true;
    this.#bdatUnknown = !insists;
    const error = new SMTPDataError(code, message, { delivery: "rejected", reply, temporary: !insists });
    const next = insists
      ? "set the option chunking to false"
      : "DATA is used from now on, as with the option chunking: false";
    error.message += ` (the server offers CHUNKING and does not know BDAT; it may have read the message as commands, so the connection was dropped; ${next})`;
    return error;
  }
}

/** Whether all replies to one BDAT so far refuse the command, on a connection whose server has not accepted any. */
export function seemsUnknown(replies: readonly RawReply[], { bdatAccepted }: Connection): boolean {
  return !bdatAccepted && replies.every(({ code }) => UNKNOWN_COMMAND.has(code));
}

/**
 * Limits the wait for the other replies to a BDAT of LMTP: a server that does not know the command sends only one.
 * After the timeout, the outcome of the message is unknown.
 */
export function boundReplies(connection: Connection): { release(): void } {
  const why = "BDAT seems to be unknown to the server, and not every recipient has a reply";
  return connection.setDeadline("dataDone", GRACE, disconnected(why));
}

/** The options for planning, with `chunking` as it applies when a message is planned. */
export function sendingPolicy(
  options: { readonly eightBit?: EightBitPolicy | undefined; readonly pipelining?: Pipelining | undefined },
  chunking: Chunking,
): SendingPolicy {
  return {
    eightBit: options.eightBit ?? "refuse",
    eager: options.pipelining === "eager",
    get chunking() {
      return chunking.permitted;
    },
  };
}
