/** The answers of a test server: the stages of a dialogue, and faults as data. */
import type { TestMessage } from "./message.ts";

/**
 * The points at which a server replies. "connect" is the greeting, "data" the answer to DATA, "body" stands for the
 * first bytes of a message, where the server only sends a requested reply or fault, "bdat" for a chunk that is not the
 * last, "message" for the end of a message (LMTP: once for each recipient), "other" for all other commands.
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
 * The server's reaction at a stage: a reply such as "550 5.1.1 no such user" (lines separated by "\n", with a code in
 * the first only), or a reply with a fault. After a 421 it closes.
 */
export type Reaction =
  | string
  | {
      /** Left out: the usual reply. */
      readonly reply?: string | undefined;
      /** Seconds to wait before the reply. */
      readonly delay?: number | undefined;
      /** Sends the reply in pieces of this many bytes. */
      readonly pieces?: number | undefined;
      /** Sends only this many bytes of the reply, then does what `end` says, or sends nothing more. */
      readonly cut?: number | undefined;
      /**
       * Follows the reply or, without `reply`, replaces it: "close" ends the connection, "reset" drops it, "stall"
       * sends nothing more. At "message", without a reply, the message is accepted anyway.
       */
      readonly end?: "close" | "reset" | "stall" | undefined;
    };

/** The command that the server is about to answer. */
export type AnswerContext = {
  /** The number of the connection, from 1 on. */
  readonly connection: number;
  /** The command line; "" if there is none. Credentials are masked. */
  readonly line: string;
  /** The sender at "mail", the recipient at "rcpt", and with LMTP at "message". */
  readonly address: string | undefined;
  /** The parameters of MAIL or RCPT: names in upper case, true if there is no value. */
  readonly parameters: Readonly<Record<string, string | true>>;
  /** The message, at "message". */
  readonly message: TestMessage | undefined;
};

/** A reaction, or a function that returns one; undefined leaves the reply to the server. */
export type Answer = Reaction | ((context: AnswerContext) => Reaction | undefined | Promise<Reaction | undefined>);

/** Answers by stage. */
export type Answers = { readonly [stage in Stage]?: Answer | undefined };

/** A reply as it is sent: with the code before every line (RFC 5321 4.2.1). */
export function formatReply(reply: string): string {
  const [, code, text] = /^([2-5]\d\d)(?: ([\s\S]*))?$/.exec(reply) ?? [];
  if (code === undefined)
    throw new RangeError(`a reply begins with its code, as in "250 OK": ${JSON.stringify(reply)}`);
  const lines = (text ?? "").split("\n");
  return lines.map((line, index) => `${code}${index + 1 < lines.length ? "-" : " "}${line}\r\n`).join("");
}
