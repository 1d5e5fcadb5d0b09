/** The reasons for claims that are not right, a line for each. Every such cell of the results needs one. */
import type { Worth } from "./claims.ts";
import type { Client } from "./results.ts";

export type Explanation = {
  readonly client: Client;
  readonly worth: Worth;
  /** The ids of the scripts that it explains. */
  readonly scripts: RegExp;
  readonly why: string;
};

/**
 * Scripts whose outcome depends on the order of two events: a reply and the end of the connection, or a surplus reply
 * and the client's next command. Claims may differ from run to run, and each must be right.
 */
export const RACES: RegExp = /^body · a reset|^(MAIL|RCPT|DATA) · the right reply(, then a close| and a \d+ more)/;

/** The first match applies. */
export const EXPLANATIONS: readonly Explanation[] = [
  {
    client: "smtplib",
    worth: "open",
    scripts: /^(\.|LMTP|body) ·|^(DATA|RCPT) · the right reply, then a close/,
    why: "The end of the message had left, and no complete reply to it came: `delivery` is `unknown`, for those recipients that were not answered.",
  },
  ...(["denied", "lost"] as const).map((worth) => ({
    client: "smtplib" as const,
    worth,
    scripts: /^(MAIL|RCPT) · the right reply and a \d+ more.* · chunking/,
    why: "A surplus reply shifts those behind it; where the last of them comes only after BDAT has left, it is taken for the answer to BDAT.",
  })),
  {
    client: "CPython",
    worth: "lost",
    scripts: /^\. · half of the right reply, then a close/,
    why: "A line without its end counts as a reply where the connection ends behind it.",
  },
  {
    client: "CPython",
    worth: "lost",
    scripts: /a 250, and a 554/,
    why: "A 250 that came before the end of the message is taken for the answer to it.",
  },
  {
    client: "CPython",
    worth: "lost",
    scripts: /^LMTP/,
    why: "`LMTP` reads one reply after the data, whatever the number of recipients, and takes it for all of them.",
  },
  {
    client: "CPython",
    worth: "denied",
    scripts: /^LMTP/,
    why: "The replies for the other recipients are taken for the reply to QUIT, or the first refusal for everybody's.",
  },
  {
    client: "CPython",
    worth: "doubled",
    scripts: /^LMTP/,
    why: "A 421 for one recipient is taken for the reply to QUIT.",
  },
  {
    client: "CPython",
    worth: "silent",
    scripts: /^LMTP/,
    why: "The replies for the other recipients are taken for the reply to QUIT; a lost connection is an exception that says nothing of the message.",
  },
  {
    client: "CPython",
    worth: "doubled",
    scripts: /^QUIT/,
    why: "The block `with` raises for what QUIT was answered by, after the message was accepted.",
  },
  {
    client: "CPython",
    worth: "denied",
    scripts: /^(QUIT|\. · the right reply and a 554 more)/,
    why: "The block `with` raises for what QUIT was answered by, or seems to be, after the message was accepted.",
  },
  {
    client: "CPython",
    worth: "silent",
    scripts: /^(QUIT|\. · the right reply and a 250 more)/,
    why: "The block `with` raises for what QUIT was answered by, or seems to be, after the message was accepted.",
  },
  {
    client: "CPython",
    worth: "denied",
    scripts: /^\. · (a code that does not exist|lines with two codes)/,
    why: "A code from 600 on, or the last line of a reply whose lines disagree, counts as a refusal.",
  },
  {
    client: "CPython",
    worth: "silent",
    scripts: /another 2yz|a 3yz/,
    why: "Only 250 (251 to RCPT, 354 to DATA) is a success; what is neither that nor a refusal raises.",
  },
  {
    client: "CPython",
    worth: "silent",
    scripts: / more|a 250 behind it|behind a 250/,
    why: "A surplus reply is taken for the answer to the next command; the message may have been accepted.",
  },
  {
    client: "CPython",
    worth: "silent",
    scripts: /421/,
    why: "A 421 to one recipient ends the call; the exception names that recipient alone.",
  },
  {
    client: "CPython",
    worth: "silent",
    scripts: /./,
    why: "A lost connection, a timeout and a reply that makes no sense raise the same exceptions before the end of the message and after it.",
  },
  {
    client: "nodemailer",
    worth: "lost",
    scripts: /lines with two codes/,
    why: "The first line's code is the reply's where the lines disagree.",
  },
  {
    client: "nodemailer",
    worth: "lost",
    scripts: /behind a 250|a 250, and a 554/,
    why: "A 250 that came before the end of the message is taken for the answer to it.",
  },
  {
    client: "nodemailer",
    worth: "denied",
    scripts: /^DATA · the right reply and a 554 more/,
    why: "A 554 that came before the end of the message is taken for the answer to it.",
  },
  {
    client: "nodemailer",
    worth: "denied",
    scripts: /^\. · a code that does not exist/,
    why: "A code from 600 on counts as a refusal.",
  },
  {
    client: "nodemailer",
    worth: "doubled",
    scripts: /^LMTP · yes, 421/,
    why: "A 421 for one recipient is everybody's.",
  },
  {
    client: "nodemailer",
    worth: "silent",
    scripts: / more/,
    why: "A surplus reply is taken for the answer to the next command; the message may have been accepted.",
  },
  {
    client: "nodemailer",
    worth: "silent",
    scripts: /./,
    why: "A lost connection, a timeout and a reply that makes no sense have the same codes before the end of the message and after it.",
  },
  {
    client: "Postfix",
    worth: "doubled",
    scripts: /./,
    why: 'It has to try until it knows (RFC 5321 4.5.4.1), and does: its log says "message may be sent more than once".',
  },
  {
    client: "Postfix",
    worth: "denied",
    scripts: /a 3yz|a code that does not exist|lines with two codes/,
    why: "What is neither 2yz nor 4yz is a refusal; the last line's code is the reply's.",
  },
  {
    client: "Postfix",
    worth: "denied",
    scripts: /^DATA · the right reply and a 554 more/,
    why: "A 554 that came before the end of the message is taken for the answer to it.",
  },
  {
    client: "Postfix",
    worth: "lost",
    scripts: /behind a 250|a 250, and a 554/,
    why: "A 250 that came before the end of the message is taken for the answer to it.",
  },
];

/** The explanation of a cell, if it has one. */
export function explanationOf(client: Client, worth: Worth, id: string): Explanation | undefined {
  return EXPLANATIONS.find((one) => one.client === client && one.worth === worth && one.scripts.test(id));
}
