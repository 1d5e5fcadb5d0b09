/** Prints the results of `send`. */
import type { Arguments } from "../arguments.ts";
import { EXIT, type ExitCode } from "../exit-codes.ts";
import { type Output, type Surroundings, styled } from "../surroundings.ts";
import { printable } from "../text.ts";
import type { Outcome } from "./sending.ts";
import type { StageReply } from "./stages.ts";

/** The codes in order: the first that occurs is the exit code for all messages. */
const WORST: readonly ExitCode[] = [
  EXIT.unknown,
  EXIT.login,
  EXIT.protocol,
  EXIT.rejected,
  EXIT.unavailable,
  EXIT.temporary,
  EXIT.partial,
];

/** Prints the outcomes of the messages; returns the exit code for all of them. */
export function printOutcomes(outcomes: readonly Outcome[], args: Arguments, around: Surroundings): ExitCode {
  const codes = new Set(outcomes.map(({ exitCode }) => exitCode));
  const others = outcomes.find((outcome) => outcome.exitCode !== EXIT.ok);
  const exitCode = WORST.find((code) => codes.has(code)) ?? others?.exitCode ?? EXIT.ok;
  if (args.has("json")) {
    const messages = outcomes.length === 1 ? outcomes : summaryOf(outcomes);
    around.stdout.write(`${JSON.stringify({ version: 1, exitCode, messages }, null, 2)}\n`);
    return exitCode;
  }
  if (outcomes.length > 1) printSummary(outcomes, args, around);
  else for (const outcome of outcomes) printOutcome(outcome, args, around);
  return exitCode;
}

/** Prints the reply to a stage. */
export function printStage({ stage, about, code, text }: StageReply, output: Output): void {
  const [first = "", ...more] = text.split("\n");
  const what = about === "" ? stage : `${stage} ${about}`;
  const reply = styled(output, code < 400 ? "green" : "red", `${code} ${printable(first)}`);
  output.write(`${what}: ${reply}\n${more.map((line) => `    ${printable(line)}\n`).join("")}`);
}

function printOutcome(
  { accepted, refused, reply, error, delivery }: Outcome,
  args: Arguments,
  around: Surroundings,
): void {
  const { stderr, stdout } = around;
  if (reply !== undefined && !args.has("quiet")) {
    const text = printable(`${reply.code} ${reply.text}`);
    stdout.write(`${styled(stdout, "green", "accepted")} for ${accepted.join(", ")}: ${text}\n`);
  }
  for (const { address, code, text } of refused) {
    stderr.write(`${styled(stderr, "red", "refused")} for ${printable(address)}: ${printable(`${code} ${text}`)}\n`);
  }
  if (error === undefined || refused.length > 0) return;
  const known = delivery === "unknown" ? ": it may have been delivered, and sending it again may make two" : "";
  stderr.write(`${styled(stderr, "red", delivery ?? "failed")}: ${printable(error)}${known}\n`);
}

type Summary = { readonly count: number; readonly outcome: Outcome };

/** The messages, counted by their outcomes. */
function summaryOf(outcomes: readonly Outcome[]): Summary[] {
  const found = new Map<string, { count: number; outcome: Outcome }>();
  for (const outcome of outcomes) {
    const key = `${outcome.exitCode} ${outcome.error ?? ""} ${JSON.stringify(outcome.refused)}`;
    const known = found.get(key);
    if (known === undefined) found.set(key, { count: 1, outcome });
    else known.count += 1;
  }
  return [...found.values()];
}

function printSummary(outcomes: readonly Outcome[], args: Arguments, { stderr, stdout }: Surroundings): void {
  for (const { count, outcome } of summaryOf(outcomes)) {
    const { accepted, delivery, error, refused } = outcome;
    if (error === undefined && refused.length === 0) {
      if (!args.has("quiet")) stdout.write(`${styled(stdout, "green", `${count} accepted`)}\n`);
      continue;
    }
    const why = error ?? refused.map(({ address, code, text }) => `${address}: ${code} ${text}`).join("; ");
    const what = accepted.length > 0 ? "accepted, but not for all" : (delivery ?? "failed");
    stderr.write(`${styled(stderr, "red", `${count} ${what}`)}: ${printable(why)}\n`);
  }
}
