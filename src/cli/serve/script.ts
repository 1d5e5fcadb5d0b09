/** `--script FILE`: the answers of `smtplib/testing` as JSON, with patterns of addresses, repetitions and limits. */
import type { Answer, AnswerContext, Reaction, Stage } from "../../testing/index.ts";
import { UsageError } from "../exit-codes.ts";
import { RateWindow } from "./rate-window.ts";

/** The answer of a script; undefined: the server's usual one. */
export type Script = (stage: Stage, context: AnswerContext) => Reaction | undefined;

/** The stages that a script can have answers for. */
export const STAGES: readonly Stage[] = [
  ...(["connect", "ehlo", "starttls", "auth", "mail", "rcpt", "data"] as const),
  ...(["body", "bdat", "message", "rset", "quit", "other"] as const),
];

/** One rule: an answer, the addresses it is for, and how often it applies. */
type Rule = { readonly reaction: Reaction; readonly address: RegExp | undefined; left: number };

type Limit = { readonly window: RateWindow; readonly stage: Stage; readonly reply: string };

/**
 * Reads a script.
 * @throws {UsageError} that names the invalid part
 */
export function parseScript(text: string, now: () => number = Date.now): Script {
  const { answers = {}, once = {}, limits = [], ...others } = objectIn(parsed(text), "the script");
  refuseMore(others, "the script");
  const first = rulesByStage(once, "once", 1);
  const always = rulesByStage(answers, "answers", Number.POSITIVE_INFINITY);
  const limiting = listIn(limits, "limits").map((limit, index) => limitIn(limit, `limits[${index}]`, now));
  return (stage, context) => {
    const over = limiting.findLast((limit) => limit.stage === stage && !limit.window.take());
    if (over !== undefined) return over.reply;
    const rules = [...(first.get(stage) ?? []), ...(always.get(stage) ?? [])];
    const rule = rules.find((one) => one.left > 0 && isFor(one, context));
    if (rule === undefined) return undefined;
    rule.left -= 1;
    return rule.reaction;
  };
}

/** A script as the answers of a test server. */
export function answersOf(script: Script): Readonly<Record<string, Answer>> {
  return Object.fromEntries(STAGES.map((stage) => [stage, (context: AnswerContext) => script(stage, context)]));
}

function isFor({ address }: Rule, context: AnswerContext): boolean {
  if (address === undefined) return true;
  const addresses = context.address === undefined ? (context.message?.to ?? []) : [context.address];
  return addresses.some((one) => address.test(one));
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw wrong("the script", `is no JSON: ${error instanceof Error ? error.message : String(error)}`);
  }
}

function rulesByStage(value: unknown, where: string, times: number): Map<Stage, Rule[]> {
  const found = new Map<Stage, Rule[]>();
  for (const [name, answer] of Object.entries(objectIn(value, where))) {
    const stage = STAGES.find((one) => one === name);
    if (stage === undefined) throw wrong(`${where}.${name}`, `is no stage: ${STAGES.join(", ")}`);
    const rules = Array.isArray(answer) ? answer : [answer];
    found.set(
      stage,
      rules.map((rule, index) =>
        ruleIn(rule, Array.isArray(answer) ? `${where}.${name}[${index}]` : `${where}.${name}`, times),
      ),
    );
  }
  return found;
}

function ruleIn(value: unknown, where: string, usual: number): Rule {
  if (typeof value === "string") return { reaction: replyIn(value, where), address: undefined, left: usual };
  const { address, times, reply, delay, pieces, cut, end, ...others } = objectIn(value, where);
  refuseMore(others, where);
  const reaction = {
    ...(reply === undefined ? {} : { reply: replyIn(reply, `${where}.reply`) }),
    ...(delay === undefined ? {} : { delay: numberIn(delay, `${where}.delay`, 0) }),
    ...(pieces === undefined ? {} : { pieces: numberIn(pieces, `${where}.pieces`, 1) }),
    ...(cut === undefined ? {} : { cut: numberIn(cut, `${where}.cut`, 0) }),
    ...(end === undefined ? {} : { end: endIn(end, `${where}.end`) }),
  };
  if (Object.keys(reaction).length === 0) throw wrong(where, "says nothing: reply, delay, pieces, cut or end");
  return {
    reaction,
    address: address === undefined ? undefined : patternIn(address, `${where}.address`),
    left: times === undefined ? usual : numberIn(times, `${where}.times`, 1),
  };
}

function limitIn(value: unknown, where: string, now: () => number): Limit {
  const {
    messages,
    seconds,
    stage = "mail",
    reply = "450 4.7.1 too many messages, slow down",
    ...others
  } = objectIn(value, where);
  refuseMore(others, where);
  const found = STAGES.find((one) => one === stage);
  if (found === undefined) throw wrong(`${where}.stage`, `is no stage: ${STAGES.join(", ")}`);
  const count = numberIn(messages, `${where}.messages`, 0);
  const window = new RateWindow(count, numberIn(seconds, `${where}.seconds`, 0.001), now);
  return { window, stage: found, reply: replyIn(reply, `${where}.reply`) };
}

function replyIn(value: unknown, where: string): string {
  if (typeof value === "string" && /^[2-5]\d\d(?: [^\r]*)?$/.test(value)) return value;
  throw wrong(where, `must be a reply, as in "550 5.1.1 no such user": ${JSON.stringify(value)}`);
}

function endIn(value: unknown, where: string): "close" | "reset" | "stall" {
  if (value === "close" || value === "reset" || value === "stall") return value;
  throw wrong(where, "must be close, reset or stall");
}

function numberIn(value: unknown, where: string, least: number): number {
  if (typeof value === "number" && Number.isFinite(value) && value >= least) return value;
  throw wrong(where, `must be a number of at least ${least}`);
}

/** "*" stands for anything, "?" for one character; case does not matter. */
function patternIn(value: unknown, where: string): RegExp {
  if (typeof value !== "string" || value === "")
    throw wrong(where, "must be an address, in which * stands for anything");
  const escaped = value
    .replace(/[.+^${}()|[\]\\]/g, "\\$&")
    .replaceAll("*", ".*")
    .replaceAll("?", ".");
  return new RegExp(`^${escaped}$`, "is");
}

function listIn(value: unknown, where: string): readonly unknown[] {
  if (Array.isArray(value)) return value;
  throw wrong(where, "must be a list");
}

function objectIn(value: unknown, where: string): Record<string, unknown> {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return { ...value };
  throw wrong(where, "must be an object");
}

function refuseMore(others: object, where: string): void {
  const [name] = Object.keys(others);
  if (name !== undefined) throw wrong(where, `has no ${JSON.stringify(name)}`);
}

function wrong(where: string, problem: string): UsageError {
  return new UsageError("--script", `cannot be read: ${where} ${problem}`);
}
