/** Checks the API's report of a message against the transactions on the wire (RFC 5321 4.2.5, 2033 4.2). */

import type { JudgedTransaction } from "./judged-transaction.ts";
import type { Violation } from "./transcript.ts";

/** A reply in the API's report, by its code. */
export type ReportedReply = {
  /** The command that it is reported to answer: MAIL, RCPT or LMTP's end for a recipient, or DATA and the content. */
  readonly to: "sender" | "recipient" | "content";
  readonly recipient?: string | undefined;
  readonly code: number;
};

/** The API's report of one message. */
export type Reported = {
  /** The replies in it, as reasons or results. */
  readonly replies?: readonly ReportedReply[] | undefined;
} & (
  | {
      readonly kind: "delivered";
      /** The number of recipients, or the recipients. */
      readonly accepted: number | readonly string[];
    }
  | { readonly kind: "failed"; readonly delivery: "not-sent" | "rejected" | "unknown" | undefined }
);

/** Compares a report with the transactions of the message: several if it was sent in batches, or tried again. */
export function judgeOutcome(
  reported: Reported,
  transactions: readonly JudgedTransaction[],
  protocol: "smtp" | "lmtp",
): Violation[] {
  const rules = [
    reported.kind === "delivered"
      ? judgeDelivery(reported.accepted, transactions, protocol)
      : judgeFailure(reported.delivery, transactions, protocol),
    ...(reported.replies ?? []).map((reply) => judgeCredit(reply, transactions, protocol)),
    judgeRepetition(transactions, protocol),
  ];
  const detail = JSON.stringify({ reported, transactions });
  return rules.filter((rule) => rule !== undefined).map((rule) => ({ rule, detail }));
}

function judgeDelivery(
  accepted: number | readonly string[],
  transactions: readonly JudgedTransaction[],
  protocol: "smtp" | "lmtp",
): string | undefined {
  const paths = transactions.flatMap((one) => takenPaths(one, protocol));
  const names = typeof accepted === "number" ? [] : accepted;
  const most = typeof accepted === "number" ? accepted : accepted.length;
  if (most > paths.length) return "accepted without a 2yz to the end";
  // An address that is written differently on the wire, for example as an A-label, cannot be compared.
  const named = new Set(transactions.flatMap((one) => one.paths));
  const wrong = names.find((name) => named.has(name) && !paths.includes(name));
  return wrong === undefined ? undefined : "accepted without a 2yz to the end";
}

function judgeFailure(
  delivery: "not-sent" | "rejected" | "unknown" | undefined,
  transactions: readonly JudgedTransaction[],
  protocol: "smtp" | "lmtp",
): string | undefined {
  const taken = transactions.some((one) => takenPaths(one, protocol).length > 0);
  const unanswered = transactions.some((one) => one.endSent && !one.isAnswered(protocol));
  const refused = transactions.some((one) => isRefused(one));
  if (taken && delivery !== "unknown") return "a failure although the server took the message";
  if (delivery === "not-sent" && unanswered && transactions.some(mayBeTaken)) {
    return '"not-sent" although the end had left';
  }
  if (delivery === "rejected" && !refused) return '"rejected" without a refusal';
  if (delivery === "unknown" && transactions.length > 0 && !unanswered && !taken && !isOdd(transactions)) {
    return '"unknown" although the answer was there, or the end had not left';
  }
  if (delivery === undefined) return "a failure that says nothing of the message";
  return undefined;
}

/** Each reported reply is one of the server to that command. */
function judgeCredit(
  { to, recipient, code }: ReportedReply,
  transactions: readonly JudgedTransaction[],
  protocol: "smtp" | "lmtp",
): string | undefined {
  const given = transactions.flatMap((one, index) => {
    if (to === "sender") return [one.mail];
    const content = [one.data, one.refusedEarly, ...one.final];
    if (to === "content") return content;
    const own = repliesFor(recipient ?? "", one, protocol);
    // In a further batch, a refusal of the message refuses each recipient; RFC 5321 3.8: a lost connection counts as
    // 451.
    return index === 0 ? own : [...own, one.mail, ...content, one.isAnswered(protocol) ? undefined : 451];
  });
  const comparable = to !== "recipient" || transactions.some((one) => one.paths.includes(recipient ?? ""));
  return comparable && !given.includes(code) ? "a reply credited to another command" : undefined;
}

/** RFC 5321 4.2.5, 4.5.4.1: a message that was or may have been accepted is not sent to the same recipient again. */
function judgeRepetition(transactions: readonly JudgedTransaction[], protocol: "smtp" | "lmtp"): string | undefined {
  const had = new Set<string>();
  for (const transaction of transactions) {
    if (!transaction.endSent || !mayBeTaken(transaction)) continue;
    const paths = new Set(transaction.paths.filter((path, index) => mayHave(transaction, path, index, protocol)));
    for (const path of paths) {
      if (had.has(path)) return "a message that was or may have been taken is sent again";
      had.add(path);
    }
  }
  return undefined;
}

/** Whether a recipient has the message, or may have it. */
function mayHave(one: JudgedTransaction, path: string, index: number, protocol: "smtp" | "lmtp"): boolean {
  const accepted = one.rcpt[index];
  if (accepted !== undefined && accepted >= 300) return false;
  if (!one.isAnswered(protocol)) return true;
  return takenPaths(one, protocol).includes(path);
}

/** The codes of the replies for a recipient: that to RCPT, and in LMTP that to the end. */
function repliesFor(recipient: string, one: JudgedTransaction, protocol: "smtp" | "lmtp"): number[] {
  let accepted = 0;
  return one.paths.flatMap((path, index) => {
    const code = one.rcpt[index];
    const final = code !== undefined && code < 300 ? one.final[accepted++] : undefined;
    if (path !== recipient) return [];
    return [protocol === "lmtp" ? (final ?? code) : code].filter((each) => each !== undefined);
  });
}

/** The recipients for whom the server accepted the message. */
function takenPaths(one: JudgedTransaction, protocol: "smtp" | "lmtp"): string[] {
  if (!one.endSent || !mayBeTaken(one)) return [];
  const accepted = one.paths.filter((_, index) => (one.rcpt[index] ?? 999) < 300);
  if (protocol === "lmtp") return accepted.filter((_, index) => (one.final[index] ?? 999) < 300);
  const [code = 0] = one.final;
  return code >= 200 && code < 300 ? accepted : [];
}

/** Whether the server refused the sender, a recipient, DATA or the content. */
function isRefused({ mail, rcpt, data, final, refusedEarly }: JudgedTransaction): boolean {
  const envelope = [mail, ...rcpt].some((code) => code !== undefined && code >= 300);
  const content = [...final, refusedEarly].some((code) => code !== undefined && code >= 400);
  return envelope || content || (data !== undefined && data !== 354);
}

type Answers = Pick<JudgedTransaction, "mail" | "rcpt" | "data">;

/** Whether the replies to the envelope permit a message; if they do not, its end delivers nothing. */
function mayBeTaken({ mail, rcpt, data }: Answers): boolean {
  if ((mail !== undefined && mail >= 300) || (data !== undefined && data !== 354)) return false;
  return rcpt.some((code) => code === undefined || code < 300);
}

/** Replies that decide nothing: 3yz to the end, or acceptance of a message without an accepted recipient. */
function isOdd(transactions: readonly JudgedTransaction[]): boolean {
  return transactions.some(
    (one) =>
      one.final.some((code) => code >= 300 && code < 400) || (!mayBeTaken(one) && one.final.some((code) => code < 300)),
  );
}
