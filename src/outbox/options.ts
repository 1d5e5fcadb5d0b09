/** The options of an outbox, the same for each queue, and their checks. */
import { wrongType } from "../core/bytes.ts";
import { checkObject, checkSignal } from "../facade/options.ts";
import type { Ask } from "./attempt.ts";
import type { BodyStore } from "./body-store.ts";
import { checkMethods, checkNames, checkText } from "./checks.ts";
import type { Connect } from "./destinations.ts";
import type { BudgetRules } from "./places.ts";
import { type ReportOptions, reportHost, reportSender } from "./report.ts";
import type { OutboxStore } from "./store.ts";
import { checkPolicy, type RetryPolicy } from "./verdict.ts";
import type { WorkOptions } from "./worker.ts";

/** Options of an outbox. Times in seconds. */
export type OutboxOptions = {
  /**
   * A destination's pool: the options of an `SMTPPool`, or one, which is kept and closed with the worker. Options are
   * better where there are more destinations than `pools`.
   */
  connect: Connect;
  /**
   * The destination of a recipient, which is given as a mailbox: without a name or angle brackets, its domain in lower
   * case. A message whose recipients have several is queued once for each. Default: all mail
   * goes to "relay".
   */
  destinationOf?: ((address: string) => string) | undefined;
  /** When a message is tried again, and what becomes of one whose outcome is unknown. */
  policy?: RetryPolicy | undefined;
  /** Finds out what became of a message, for the policy "ask". */
  ask?: Ask | undefined;
  /** How much mail goes to a destination and for a tenant, by all workers together. */
  budgets?: BudgetRules | undefined;
  /** Where bodies of more than `inline` octets are kept. Default: all are kept in the queue. */
  bodies?: BodyStore | undefined;
  /** Octets. Default: 16,384. */
  inline?: number | undefined;
  /** Reports to senders of what is given up; they need nodemailer. Default: none are sent. */
  report?: ReportOptions | undefined;
  /** How long a message is tried. Default: five days; at most 14. */
  lifetime?: number | undefined;
  /** How long an idempotency key and a used ticket are remembered after a message is settled. Default: a day. */
  retention?: number | undefined;
  /** After how long an attempt that says nothing is taken for dead, by "retry" and "ask". Default: 1,200. */
  settle?: number | undefined;
  /** How long `enqueue()` waits for the queue. Default: 10. */
  timeout?: number | undefined;
  /**
   * How long `connect`, `ask` and each method of `bodies` may take. After that, the message is tried again, or stays held.
   * Default: 300.
   */
  callbackTimeout?: number | undefined;
  /** The most pools that a worker keeps open without need. Default: 100. */
  pools?: number | undefined;
};

/** Options of a message. */
export type EnqueueOptions = {
  /**
   * The idempotency key: a message with the same key and tenant is queued once, however often `enqueue()` is called.
   * Default: none.
   */
  key?: string | undefined;
  /** The earliest time of the first attempt. */
  deliverAt?: Date | undefined;
  /** From 0, which goes first, to 1,000, which goes last. Default: 0. */
  priority?: number | undefined;
  /** After this time it is given up. Default: `lifetime` after the first attempt may be made. */
  expiresAt?: Date | undefined;
  /** Whose message it is, for budgets. */
  tenant?: string | undefined;
};

/** The names of the options: the type requires each. */
const SETTINGS: Readonly<Record<keyof OutboxOptions, true>> = {
  connect: true,
  destinationOf: true,
  policy: true,
  ask: true,
  budgets: true,
  bodies: true,
  inline: true,
  report: true,
  lifetime: true,
  retention: true,
  settle: true,
  timeout: true,
  callbackTimeout: true,
  pools: true,
};

/** The options with their defaults. */
export type OutboxSettings = {
  readonly [name in keyof Required<OutboxOptions>]: name extends "ask" | "bodies" | "report"
    ? OutboxOptions[name]
    : NonNullable<OutboxOptions[name]>;
};

const LONGEST_LIFE = 14 * 86_400;

/**
 * Checks the options of an outbox.
 * @param more - the names of options that only this queue has
 * @throws {TypeError} or {RangeError} naming the option that is wrong
 */
export function outboxSettings(options: OutboxOptions, more: readonly string[] = []): OutboxSettings {
  checkNames(options, [...Object.keys(SETTINGS), ...more], "options");
  const { ask, bodies, report, policy = {}, budgets = {} } = options;
  checkMethods({ connect: options.connect }, ["connect"], "options");
  checkFunctions({ destinationOf: options.destinationOf, ask }, "options");
  checkNames(budgets, ["destination", "tenant"], "options.budgets");
  checkFunctions({ destination: budgets.destination, tenant: budgets.tenant }, "options.budgets");
  if (bodies !== undefined) checkMethods(bodies, ["put", "get", "delete"], "options.bodies");
  if (report !== undefined) checkReport(report);
  if (checkPolicy(policy, "options.policy").unknown === "ask" && ask === undefined) {
    throw new TypeError('the policy "ask" needs the option ask');
  }
  return {
    connect: options.connect,
    destinationOf: options.destinationOf ?? (() => "relay"),
    policy,
    ask,
    budgets,
    bodies,
    inline: seconds(options.inline ?? 16_384, "inline", Number.MAX_SAFE_INTEGER),
    report,
    lifetime: some(options.lifetime ?? 5 * 86_400, "lifetime", LONGEST_LIFE),
    retention: seconds(options.retention ?? 86_400, "retention", LONGEST_LIFE),
    settle: seconds(options.settle ?? 1200, "settle", LONGEST_LIFE),
    timeout: some(options.timeout ?? 10, "timeout", 3600),
    callbackTimeout: some(options.callbackTimeout ?? 300, "callbackTimeout", LONGEST_WAIT),
    pools: seconds(options.pools ?? 100, "pools", 1_000_000),
  };
}

function seconds(value: number, name: string, most: number): number {
  if (typeof value === "number" && value >= 0 && value <= most) return value;
  throw new RangeError(`options.${name} must be a number from 0 to ${most}`);
}

/** As `seconds()`, without 0. */
function some(value: number, name: string, most: number): number {
  if (seconds(value, name, most) === 0) throw new RangeError(`options.${name} must be more than 0`);
  return value;
}

/**
 * Checks the options of a worker; `poll` is that of pg-boss, in seconds.
 * @throws {TypeError} or {RangeError} naming the option that is wrong
 */
export function checkWorkOptions(
  options: WorkOptions & { readonly poll?: number | undefined },
  more: "poll" | "worker",
): void {
  checkNames(options, ["concurrency", "closeTimeout", "signal", more], "options");
  const { concurrency = 1, closeTimeout = 0, poll = 1, signal } = options;
  if (!Number.isSafeInteger(concurrency) || concurrency < 1) {
    throw new RangeError("options.concurrency must be a whole number from 1 on");
  }
  seconds(closeTimeout, "closeTimeout", LONGEST_WAIT);
  some(poll, "poll", LONGEST_WAIT);
  checkSignal(signal, "options.signal");
}

/** Seconds that a timer can wait. */
const LONGEST_WAIT = 2_147_483;

function checkReport(report: ReportOptions): void {
  checkNames(report, ["host", "from"], "options.report");
  reportHost(report);
  reportSender(report);
}

/** Checks optional functions. */
function checkFunctions(functions: object, where: string): void {
  for (const [name, value] of Object.entries(functions)) {
    if (value !== undefined && typeof value !== "function") throw wrongType(`${where}.${name}`, "a function", value);
  }
}

const STORES = {
  tickets: ["read", "take", "answer", "giveBack", "await", "forget"],
  budgets: ["enter", "leave", "pause"],
  held: ["add", "remove", "list"],
} as const;

/**
 * Checks the option `store` of an outbox.
 * @throws {TypeError} naming the part or the method that is missing
 */
export function checkStore(store: OutboxStore | undefined): void {
  if (store === undefined) return;
  checkObject(store, "options.store");
  checkMethods(store.tickets, STORES.tickets, "options.store.tickets");
  checkMethods(store.budgets, STORES.budgets, "options.store.budgets");
  checkMethods(store.held, STORES.held, "options.store.held");
}

/** When a message may first be tried, and until when, in milliseconds since 1970. */
export type Times = { readonly from: number; readonly until: number };

/**
 * Checks the times of a message.
 * @throws {TypeError} or {RangeError} naming the option that is wrong
 */
export function timesOf({ deliverAt, expiresAt }: EnqueueOptions, lifetime: number, now: number): Times {
  const from = Math.max(now, deliverAt === undefined ? now : time(deliverAt, "deliverAt"));
  const until = expiresAt === undefined ? from + lifetime * 1000 : time(expiresAt, "expiresAt");
  if (until <= from) throw new RangeError("expiresAt must be later than the first attempt");
  if (until > from + LONGEST_LIFE * 1000) throw new RangeError("expiresAt must be within 14 days of the first attempt");
  return { from, until };
}

/** The last moment that each queue can store. */
const LAST = Date.UTC(9999, 11, 31);

function time(value: unknown, name: string): number {
  if (!(value instanceof Date)) throw new TypeError(`${name} must be a Date`);
  if (Number.isNaN(value.getTime())) throw new RangeError(`${name} is no valid time`);
  if (value.getTime() > LAST) throw new RangeError(`${name} must not be later than the year 9999`);
  return value.getTime();
}

/**
 * Checks the options of a message that are no times.
 * @throws {TypeError} or {RangeError} naming the option that is wrong
 */
export function checkEnqueueOptions(options: EnqueueOptions): void {
  checkNames(options, ["key", "deliverAt", "priority", "expiresAt", "tenant"], "options");
  const { key, priority = 0, tenant } = options;
  for (const [name, value] of Object.entries({ key, tenant })) {
    if (value === undefined) continue;
    checkText(value, name);
    if (value === "" || value.length > 1000) throw new RangeError(`${name} must have 1 to 1,000 characters`);
  }
  if (!Number.isInteger(priority) || priority < 0 || priority > 1000) {
    throw new RangeError("priority must be a whole number from 0 to 1,000");
  }
}
