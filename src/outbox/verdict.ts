/** The verdict on one attempt to deliver a message: from an exception, or a delivery, to what a queue does next. */
import type { Delivery } from "../client/outcome.ts";
import { wrongType } from "../core/bytes.ts";
import { mayPass, saysNoRoom } from "../core/refused-command.ts";
import type { Reply } from "../core/reply.ts";
import { isTokenFailure } from "../core/token-failure.ts";
import { checkNames } from "./checks.ts";
import { cause, delivery as deliveryOf, field, isDelivery, refusedIn, replyIn } from "./error-fields.ts";

/** The policy for a message with an unknown outcome. */
export type UnknownPolicy =
  /** It waits for the late answer, or for a person. Nothing is sent twice. */
  | "hold"
  /** It is sent again, and may arrive twice. */
  | "retry"
  /** A callback finds out, such as by looking for the Message-ID in a mailbox. */
  | "ask";

/** How long a queue waits, and when it gives up. All times in seconds. */
export type RetryPolicy = {
  /** Default: "hold". */
  unknown?: UnknownPolicy | undefined;
  /** The delay after a first attempt that looks like greylisting: 450 or 451 to a recipient. Default: 60. */
  greylisting?: number | undefined;
  /** The delay after any other first failure; it doubles with each attempt. Default: 300. */
  first?: number | undefined;
  /** The longest delay. Default: 14,400, four hours (RFC 5321 4.5.4.1 asks for two or three hours at least on average). */
  longest?: number | undefined;
  /** The part of a delay that is random, from 0 to 1, so that messages do not come back all at once. Default: 0.25. */
  jitter?: number | undefined;
  /** The most attempts. Default: 40, which the default delays spread over five days. */
  attempts?: number | undefined;
  /** Where the jitter comes from: a number from 0 to 1, 1 excluded. Default: `Math.random`. */
  random?: (() => number) | undefined;
};

/** The verdict on a message after an attempt. */
export type Verdict = {
  /**
   * "done": nothing is left to send. "retry": `recipients` are tried again after `after` seconds. "give-up": nobody else
   * can get the message. "ask": the outcome is unknown and the policy's callback decides. "hold": the outcome is unknown
   * and the message waits for the late answer.
   */
  readonly action: "done" | "retry" | "give-up" | "ask" | "hold";
  /**
   * Seconds until the next attempt; 0 where there is none. With "retry", 0 after a delivery: the server had room for some
   * recipients only (452), and takes the others in a transaction of their own (RFC 5321 4.5.3.1.10).
   */
  readonly after: number;
  /**
   * The recipients that are left; undefined: all those of the attempt that are not in `refused`, since the server did not
   * answer for each.
   */
  readonly recipients: readonly string[] | undefined;
  /** The recipients that the server refused for good, each with its reply. */
  readonly refused: Readonly<Record<string, Reply>>;
  /** Seconds for which no other message goes to this destination: it said 421, 432 or 452, or could not be reached. */
  readonly slowDown: number;
};

/**
 * Judges an attempt by what its call threw, or by the `Delivery` that it returned, which may have left recipients out.
 *
 * Temporary replies (4yz) and lost connections are tried again with growing, random delays. Permanent ones (5yz) give up.
 * Credentials, certificates and servers that refuse every session concern the sender's set-up and not the message, which
 * is tried again. An exception whose `delivery` is "unknown" follows `policy.unknown`.
 *
 * @param error - what was thrown; or the delivery
 * @param attempt - which attempt it was, from 1 on
 * @throws {RangeError} if `attempt` or a number of the policy is out of range
 * @example
 * ```ts
 * import { SMTPDataError } from "smtplib";
 * import { retryOf } from "smtplib/outbox";
 *
 * const { action, after } = retryOf(new SMTPDataError(451, "4.3.0 try later"), 1, { jitter: 0 });
 * console.log(action, after); // retry 300
 * ```
 */
export function retryOf(error: unknown, attempt: number, policy: RetryPolicy = {}): Verdict {
  const checked = checkPolicy(policy);
  if (!Number.isSafeInteger(attempt) || attempt < 1) throw new RangeError("attempt must be a whole number from 1 on");
  if (isDelivery(error)) return afterDelivery(error, attempt, checked);
  if (deliveryOf(error) === "unknown") return unknownVerdict(attempt, checked);
  const refused = refusedIn(error);
  if (refused !== undefined) return afterRefusals(refused, attempt, checked, "give-up");
  const verdict = { recipients: undefined, refused: {}, slowDown: slowDownOf(replyIn(error), error, checked) };
  if (isFinal(error)) return { ...verdict, action: "give-up", after: 0 };
  return again(verdict, attempt, checked, delay(replyIn(error), attempt, checked));
}

/** The names of the options: the type requires each. */
const NAMES: Readonly<Record<keyof RetryPolicy, true>> = {
  unknown: true,
  greylisting: true,
  first: true,
  longest: true,
  jitter: true,
  attempts: true,
  random: true,
};

type Checked = Required<{ [name in keyof RetryPolicy]: NonNullable<RetryPolicy[name]> }>;

/**
 * The policy with its defaults.
 * @throws {TypeError} or {RangeError} naming what is wrong
 */
export function checkPolicy(policy: RetryPolicy, where = "policy"): Checked {
  checkNames(policy, Object.keys(NAMES), where);
  const { unknown = "hold", greylisting = 60, first = 300, longest = 14_400, jitter = 0.25, attempts = 40 } = policy;
  if (!["hold", "retry", "ask"].includes(unknown)) throw new RangeError(`${where}.unknown must be hold, retry or ask`);
  for (const [name, value] of Object.entries({ greylisting, first, longest, attempts })) {
    if (typeof value !== "number" || !(value >= 0)) throw new RangeError(`${where}.${name} must not be negative`);
  }
  if (typeof jitter !== "number" || !(jitter >= 0 && jitter <= 1)) {
    throw new RangeError(`${where}.jitter must be from 0 to 1`);
  }
  const { random = Math.random } = policy;
  if (typeof random !== "function") throw wrongType(`${where}.random`, "a function", random);
  return { unknown, greylisting, first, longest, jitter, attempts, random };
}

/** The server took the message for some; the others have a reply each. */
function afterDelivery({ refused }: Delivery, attempt: number, policy: Checked): Verdict {
  return afterRefusals(refused, attempt, policy, "done");
}

/** `otherwise`: what it comes to where nobody is left to try. */
function afterRefusals(
  refused: Readonly<Record<string, Reply>>,
  attempt: number,
  policy: Checked,
  otherwise: "done" | "give-up",
): Verdict {
  const entries = Object.entries(refused);
  const left = entries.filter(([, reply]) => mayPass(reply));
  const lost = Object.fromEntries(entries.filter(([, reply]) => !mayPass(reply)));
  const replies = left.map(([, reply]) => reply);
  const slowDown = replies.some((reply) => isBusy(reply, true)) ? pause(policy) : 0;
  // Where nobody got the message and a 421 ended the session, the others have no reply and are left, too.
  const isCutShort = otherwise === "give-up" && replies.some(({ code }) => code === 421);
  const recipients = isCutShort ? undefined : left.map(([address]) => address);
  const verdict = { recipients, refused: lost, slowDown };
  if (left.length === 0) return { ...verdict, action: otherwise, after: 0 };
  // Each part leaves fewer of them.
  if (otherwise === "done" && replies.every(saysNoRoom)) return { ...verdict, action: "retry", after: 0, slowDown: 0 };
  return again(verdict, attempt, policy, Math.max(...replies.map((reply) => delay(reply, attempt, policy, true))));
}

/** True if the next attempt only goes on with recipients for whom the server had no room, and is no new one. */
export function isPart({ refused }: Delivery): boolean {
  const left = Object.values(refused).filter(mayPass);
  return left.length > 0 && left.every(saysNoRoom);
}

function unknownVerdict(attempt: number, policy: Checked): Verdict {
  const verdict = { recipients: undefined, refused: {}, slowDown: 0 };
  if (policy.unknown !== "retry") return { ...verdict, action: policy.unknown, after: 0 };
  return again(verdict, attempt, policy, delay(undefined, attempt, policy));
}

function again(verdict: Omit<Verdict, "action" | "after">, attempt: number, policy: Checked, after: number): Verdict {
  if (attempt >= policy.attempts) return { ...verdict, action: "give-up", after: 0 };
  return { ...verdict, action: "retry", after };
}

/** Replies to RCPT by which servers put off senders that they do not know yet. */
const GREYLISTING: readonly number[] = [450, 451];

function delay(reply: Reply | undefined, attempt: number, policy: Checked, toRecipient = false): number {
  const { first, longest, greylisting } = policy;
  const isGreylisting = attempt === 1 && toRecipient && reply !== undefined && GREYLISTING.includes(reply.code);
  const seconds = isGreylisting ? greylisting : Math.min(longest, first * 2 ** Math.min(attempt - 1, 60));
  return withJitter(seconds, policy);
}

function withJitter(seconds: number, { jitter, random }: Checked): number {
  return seconds * (1 - jitter + 2 * jitter * random());
}

/** Replies that are about the session or the server rather than the message. */
const BUSY: readonly number[] = [421, 432, 452];

/** About an address or its mailbox, such as a full one (RFC 3463 3.2, 3.3). */
const OF_A_MAILBOX = /^4\.[12]\./;

/** About the server itself (RFC 3463 3.4). */
const OF_THE_SERVER = /^4\.3\./;

/**
 * Seconds for which the destination is left alone. No more, however often this message was tried: its attempts say nothing
 * about the destination, whose other messages would wait for them.
 */
const PAUSE = 30;

function slowDownOf(reply: Reply | undefined, error: unknown, policy: Checked): number {
  const unreachable = nameOf(error) === "SMTPConnectError" || isSetUp(error);
  return unreachable || (reply !== undefined && isBusy(reply, false)) ? pause(policy) : 0;
}

/** 452 to a recipient is about its mailbox or the number of recipients, unless it says that it is about the server. */
function isBusy({ code, enhancedCode = "" }: Reply, toRecipient: boolean): boolean {
  if (!BUSY.includes(code)) return false;
  return toRecipient && code === 452 ? OF_THE_SERVER.test(enhancedCode) : !OF_A_MAILBOX.test(enhancedCode);
}

function pause(policy: Checked): number {
  return withJitter(Math.min(policy.longest, PAUSE), policy);
}

/** True for what no later attempt can mend. */
export function isFinal(error: unknown): boolean {
  // A lost connection, or a closed pool, says nothing about the message.
  if (isSetUp(error) || isTokenFailure(error) || nameOf(error) === "SMTPServerDisconnected") return false;
  // Not an exception of this package: the argument is wrong for good, anything else may pass.
  if (field(error, "temporary", "boolean") === undefined) return isArgumentError(error);
  if (field(error, "temporary", "boolean") === true) return false;
  const below = cause(error);
  // The source of the body failed: what it threw decides, since it says nothing about the message.
  if (nameOf(error) === "SMTPException" && replyIn(error) === undefined && below !== undefined) return isFinal(below);
  return true;
}

const SET_UP: readonly string[] = [
  "SMTPAuthenticationError",
  "SMTPConnectError",
  "SMTPHeloError",
  "TlsError",
  "DestinationError",
];

/** A `TypeError` with a cause is not about an argument, such as that of a `fetch()` which found no network. */
function isArgumentError(error: unknown): boolean {
  return (error instanceof TypeError || error instanceof RangeError) && cause(error) === undefined;
}

/**
 * Credentials, certificates, and greetings that refuse every session: the sender's set-up, which a person mends. 530 to
 * MAIL asks for credentials (RFC 4954 6).
 */
function isSetUp(error: unknown): boolean {
  const names = [nameOf(error), nameOf(cause(error))];
  return SET_UP.some((name) => names.includes(name)) || replyIn(error)?.code === 530;
}

function nameOf(error: unknown): string | undefined {
  return field(error, "name", "string");
}
