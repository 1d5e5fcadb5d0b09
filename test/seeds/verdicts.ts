/** Compares the outcomes of the calls with the server's ledger at the end. */
import { type Delivery, SMTPException } from "../../src/index.ts";
import type { JudgedTransaction } from "../judge/judged-transaction.ts";
import { judgeOutcome } from "../judge/outcomes.ts";
import { SourceError } from "./bodies.ts";
import { AbortReason, type Call } from "./caller.ts";
import type { Ledger, LedgerEntry } from "./ledger.ts";
import type { ClientConnection } from "./network.ts";
import type { Scenario } from "./scenario.ts";
import { TokenError } from "./token.ts";

type Fail = (rule: string, detail: string) => void;

/** Judges each message's outcome, and the bytes of each connection. */
export function judgeCalls(
  scenario: Scenario,
  calls: readonly Call[],
  connections: readonly ClientConnection[],
  ledger: Ledger,
  fail: Fail,
): void {
  const transactions = new Map<string, JudgedTransaction[]>();
  for (const { number, stream } of connections) {
    for (const { rule, detail } of stream?.judge.violations ?? []) fail(`the wire: ${rule}`, `#${number} ${detail}`);
    for (const one of stream?.judge.transactions ?? []) {
      transactions.set(one.sender, [...(transactions.get(one.sender) ?? []), one]);
    }
  }
  for (const call of calls) {
    if (call.kind === "check") continue;
    const own = transactions.get(`m${call.key}@a.test`) ?? [];
    judgeCall(scenario, call, ledger.entry(call.key), own, fail);
    checkDeadline(scenario, call, fail);
  }
}

function judgeCall(
  { pool }: Scenario,
  call: Call,
  entry: LedgerEntry,
  transactions: readonly JudgedTransaction[],
  fail: Fail,
): void {
  for (const [recipient, times] of entry.taken) {
    if (times > 1) fail("nothing is sent twice", `${call.key} was taken ${times} times for ${recipient}`);
  }
  if ((call.made?.begun ?? 0) > 1) fail("a source is read once", call.key);
  if (entry.outOfStep) return;
  if (entry.contents.some((content) => content !== call.made?.expected)) {
    fail("the content arrives as it is", `${call.key}: ${JSON.stringify(entry.contents)}`);
  }
  if (call.outcome === "ok") {
    const accepted = judgeSuccess(call, entry, fail);
    const reported = { kind: "delivered", accepted } as const;
    for (const { rule } of judgeOutcome(reported, transactions, pool.protocol)) fail(rule, call.key);
  } else if (call.outcome === "failed") judgeFailure(pool.protocol, call, entry, transactions, fail);
}

/** Judges a success; returns the number of accepted recipients. */
function judgeSuccess(call: Call, entry: LedgerEntry, fail: Fail): number {
  const refused = refusedIn(call.result);
  const accepted = call.recipients.filter((one) => !(one in refused));
  if (accepted.length === 0) fail("somebody was accepted, or it is no success", call.key);
  for (const one of accepted) {
    if (entry.taken.get(one) !== 1) fail("what is reported as delivered was taken", `${call.key} for ${one}`);
  }
  for (const [one, { code, text }] of Object.entries(refused)) judgeRefusal(call.key, one, code, text, entry, fail);
  return accepted.length;
}

/** A refusal is one of the server, or reports that the connection was lost before a later portion of the message. */
function judgeRefusal(
  key: string,
  recipient: string,
  code: number,
  text: string,
  entry: LedgerEntry,
  fail: Fail,
): void {
  const isLost = code === 451 && text.startsWith("4.4.2 ");
  if (isLost && text.startsWith("4.4.2 unknown")) return;
  if (entry.taken.has(recipient)) fail("what is reported as refused was not taken", `${key} for ${recipient}`);
  // 421 concerns the connection, and may come at any time.
  if (isLost || code === 421 || entry.refusals.get(recipient) === code || entry.codes.has(code)) return;
  fail("refusals are the server's", `${key} for ${recipient}: ${code} ${text}, not ${entry.refusals.get(recipient)}`);
}

function refusedIn(result: unknown): Record<string, { code: number; text: string }> {
  const record: unknown = isDelivery(result) ? result.refused : result;
  const entries = Object.entries(Object(record)).map(([one, reply]) => {
    const [code, text] = Object(reply);
    return [one, { code: Number(code), text: String(text) }] as const;
  });
  return Object.fromEntries(entries);
}

function isDelivery(result: unknown): result is Delivery {
  return typeof result === "object" && result !== null && "accepted" in result && Array.isArray(result.accepted);
}

function judgeFailure(
  protocol: "smtp" | "lmtp",
  { key, error, send }: Call,
  entry: LedgerEntry,
  transactions: readonly JudgedTransaction[],
  fail: Fail,
): void {
  // Errors of the caller's own functions stay unchanged.
  const isOwn = error instanceof TokenError || (send?.body.kind === "prepared" && error instanceof SourceError);
  if (error instanceof AbortReason || isOwn) {
    if (transactions.every(({ endSent }) => !endSent) && entry.isTaken) fail("what was not ended was not taken", key);
    return;
  }
  if (!(error instanceof SMTPException)) return fail("a failure is an SMTPException", `${key}: ${String(error)}`);
  const { delivery } = error;
  if (delivery !== "unknown" && entry.isTaken) {
    fail('"not-sent" and "rejected" were not taken', `${key}: ${delivery}, ${String(error)}`);
  }
  for (const { rule } of judgeOutcome({ kind: "failed", delivery }, transactions, protocol)) {
    fail(rule, `${key}: ${delivery}, ${String(error)}`);
  }
}

/** Checks the total time of a delivery, with a tolerance for late timers and a busy event loop. */
function checkDeadline({ pool, clock, blocks }: Scenario, { key, madeAt, settledAt }: Call, fail: Fail): void {
  if (pool.total === undefined) return;
  const slack = 2 + clock.late + blocks.reduce((sum, { ms }) => sum + ms, 0);
  if (settledAt - madeAt > pool.total * 1000 + slack) {
    fail("timeouts.total bounds a delivery", `${key} took ${(settledAt - madeAt).toFixed(1)} ms`);
  }
}
