/** The answers of a test server: the stages of a dialogue, and faults as data. */
import type { TestMessage } from "./message.ts";

/**
 * The points at which a server speaks. "connect" is the greeting, "data" the answer to DATA, "body" stands for the first
 * octets of a message, where only a reply or a fault that is asked for shows, "bdat" for a chunk that is not the last,
 * "message" for the end of a message (LMTP: once a recipient), "other" for commands that have no stage of their own.
 */
export type Stage =
  | "connect"
  | "ehlo"
  | "starttls"
  | "auth"
  | "mail"
  | "rcpt"
  | "data"
  | "body"
  | "bdat"
  | "message"
  | "rset"
  | "quit"
  | "other";

/**
 * What the server does at a stage: a reply such as "550 5.1.1 no such user" (lines parted by "\n", codes only in front of
 * the first), or that with a fault. After a 421 it closes.
 */
export type Reaction =
  | string
  | {
      /** Left out: what it would have said anyway. */
      readonly reply?: string | undefined;
      /** Seconds to wait before it speaks. */
      readonly delay?: number | undefined;
      /** Sends the reply in pieces of that many octets. */
      readonly pieces?: number | undefined;
      /** Sends only so many octets of the reply; then comes `end`, or nothing any more. */
      readonly cut?: number | undefined;
      /**
       * What follows the reply or, without `reply`, replaces it: "close" ends the connection in order, "reset" drops
       * it, "stall" sends nothing any more. At "message", without a reply, the message is accepted all the same.
       */
      readonly end?: "close" | "reset" | "stall" | undefined;
    };

/** The command that the server is about to answer. */
export type AnswerContext = {
  /** Which connection, from 1 on. */
  readonly connection: number;
  /** The command line; "" where there is none. Credentials are masked. */
  readonly line: string;
  /** The sender at "mail", the recipient at "rcpt", and with LMTP at "message". */
  readonly address: string | undefined;
  /** The parameters of MAIL or RCPT: names in upper case, true where there is no value. */
  readonly parameters: Readonly<Record<string, string | true>>;
  /** The message, at "message". */
  readonly message: TestMessage | undefined;
};

/** A reaction, or a function that returns one; undefined leaves the reply to the server. */
export type Answer = Reaction | ((context: AnswerContext) => Reaction | undefined | Promise<Reaction | undefined>);

/** Answers by stage. */
export type Answers = { readonly [stage in Stage]?: Answer | undefined };

/** A reply as it goes on the wire: the code before every line (RFC 5321 4.2.1). */
export function formatReply(reply: string): string {
  const [, code, text] = /^([2-5]\d\d)(?: ([\s\S]*))?$/.exec(reply) ?? [];
  if (code === undefined)
    throw new RangeError(`a reply begins with its code, as in "250 OK": ${JSON.stringify(reply)}`);
  const lines = (text ?? "").split("\n");
  return lines.map((line, index) => `${code}${index + 1 < lines.length ? "-" : " "}${line}\r\n`).join("");
}
