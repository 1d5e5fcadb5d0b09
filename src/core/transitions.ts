/**
 * The table of a session's dialogue.
 *
 * Rules:
 * 1. Replies answer commands in the order in which the commands were sent.
 * 2. The position is the sender's state. Each command that is sent changes it, and its reply changes it again where the
 *    table has an entry. A command that ends a group (RFC 2920 3.1) leads to "await-reply", which permits no command.
 *    So lock-step and pipelining share one implementation: a sender that does not wait uses the same table.
 * 3. Once the end of a message is sent, the next transaction may open; the replies to the message arrive later.
 * 4. An unsolicited or malformed reply, or a 421, ends the session. Complete replies before it still count.
 */

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
/** The row of a command that waits for its reply, and of all commands that the table does not name. */
export const SINGLE: TransitionRow = {
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
