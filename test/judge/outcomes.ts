/** Says whether what the API reports of a message is true, by what passed on the wire (RFC 5321 4.2.5, 2033 4.2). */

import type { JudgedTransaction } from "./judged-transaction.ts";
import type { Violation } from "./transcript.ts";

/** What the API reported of one message. */
export type Reported =
  | { readonly kind: "delivered"; readonly accepted: number }
  | { readonly kind: "failed"; readonly delivery: "not-sent" | "rejected" | "unknown" | undefined };

/** Compares a report with the transactions that carried the message; several if it went in portions. */
export function judgeOutcome(
  reported: Reported,
  transactions: readonly JudgedTransaction[],
  protocol: "smtp" | "lmtp",
): Violation[] {
  const fail = (rule: string): Violation[] => [{ rule, detail: JSON.stringify({ reported, transactions }) }];
  if (reported.kind === "delivered") {
    const most = transactions.reduce((sum, one) => sum + takenFor(one, protocol), 0);
    return reported.accepted > most ? fail("accepted without a 2yz to the end") : [];
  }
  const { delivery } = reported;
  const taken = transactions.some((one) => takenFor(one, protocol) > 0);
  const unanswered = transactions.some((one) => one.endSent && !isAnswered(one, protocol));
  const refused = transactions.some((one) => isRefused(one));
  if (taken && delivery !== "unknown") return fail("a failure although the server took the message");
  if (delivery === "not-sent" && unanswered && transactions.some(mayBeTaken)) {
    return fail('"not-sent" although the end had left');
  }
  if (delivery === "rejected" && !refused) return fail('"rejected" without a refusal');
  if (delivery === "unknown" && transactions.length > 0 && !unanswered && !taken && !isOdd(transactions)) {
    return fail('"unknown" although the answer was there, or the end had not left');
  }
  if (delivery === undefined) return fail("a failure that says nothing of the message");
  return [];
}

/** For how many recipients the server said yes. */
function takenFor({ mail, rcpt, data, final, endSent }: JudgedTransaction, protocol: "smtp" | "lmtp"): number {
  if (!endSent || !mayBeTaken({ mail, rcpt, data })) return 0;
  if (protocol === "lmtp") return final.filter((code) => code < 300).length;
  const [code = 0] = final;
  return code >= 200 && code < 300 ? rcpt.filter((one) => one !== undefined && one < 300).length : 0;
}

function isAnswered({ final, accepted }: JudgedTransaction, protocol: "smtp" | "lmtp"): boolean {
  return final.length >= (protocol === "lmtp" ? Math.max(1, accepted) : 1);
}

/** Whether the server said no to the sender, a recipient, DATA or the content. */
function isRefused({ mail, rcpt, data, final, refusedEarly }: JudgedTransaction): boolean {
  const envelope = [mail, ...rcpt].some((code) => code !== undefined && code >= 300);
  const content = [...final, refusedEarly].some((code) => code !== undefined && code >= 400);
  return envelope || content || (data !== undefined && data !== 354);
}

type Answers = Pick<JudgedTransaction, "mail" | "rcpt" | "data">;

/** Whether the envelope's answers allow the server to take a message; where they do not, an end delivers nothing. */
function mayBeTaken({ mail, rcpt, data }: Answers): boolean {
  if ((mail !== undefined && mail >= 300) || (data !== undefined && data !== 354)) return false;
  return rcpt.some((code) => code === undefined || code < 300);
}

/** Answers that are no verdict: 3yz to the end, or a message that was taken although nobody was accepted. */
function isOdd(transactions: readonly JudgedTransaction[]): boolean {
  return transactions.some(
    (one) =>
      one.final.some((code) => code >= 300 && code < 400) || (!mayBeTaken(one) && one.final.some((code) => code < 300)),
  );
}
