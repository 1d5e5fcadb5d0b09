/**
 * A message to more recipients than a server takes at once: the others follow in transactions of their own on the same
 * connection, and the caller gets one result.
 */
import { aLabel } from "../core/a-label.ts";
import { parseMailbox } from "../core/address.ts";
import { portionsWithin, readLimits } from "../core/extensions/limits.ts";
import { mayPass } from "../core/refused-command.ts";
import { isPositive, makeReply, type RawReply, type Refused, type Reply } from "../core/reply.ts";
import { SMTPException, SMTPRecipientsRefused, SMTPResponseException } from "../errors.ts";
import type { Delivery } from "./outcome.ts";
import { textOf } from "./session-end.ts";
import type { PlannedMessage, TransactionObserver } from "./transaction.ts";

/** Begins to send a message, or a portion of one. */
export type SendBatch = (portion: PlannedMessage, observer: TransactionObserver) => void;

/** A server has room for at least so many recipients (RFC 5321 4.5.3.1.8). */
const LEAST_ROOM = 100;

/**
 * Sends a message to a server with these LIMITS (RFC 9422): whole if it takes it so, else in portions, one after the
 * other. A stream cannot be sent twice: it goes whole, and the server refuses whom it has no room for.
 *
 * Once somebody has the message, what becomes of the others is told in `refused`: by the server's reply, or by one of
 * ours if the connection was lost, with 451 as RFC 5321 3.8 has it. If all recipients of all portions were refused, the
 * observer gets an `SMTPRecipientsRefused`; if a portion failed with something else and nobody had the message before, that.
 */
export function sendWithinLimits(
  limits: string,
  message: PlannedMessage,
  observer: TransactionObserver,
  send: SendBatch,
): void {
  const { to, content } = message;
  const domains = to.map(domainOf);
  const portions = content.bytes === undefined ? [] : portionsWithin(domains, readLimits(limits));
  if (portions.length < 2) return send(message, observer);
  new BatchedMessage(message).sendBatches(portions, send).then(
    (delivery) => observer.resolve(delivery),
    (error) => observer.reject(error),
  );
}

/** The domain as it goes on the wire: a name is one domain, in A-labels or not. */
function domainOf(address: string): string {
  const mailbox = parseMailbox(address, "recipient");
  return (aLabel(mailbox) ?? mailbox).domain?.toLowerCase() ?? "";
}

/**
 * Goes on after a transaction in which the server took some recipients and had no room for those behind them: 452, or 552
 * from older servers (RFC 5321 4.5.3.1.10). Who still finds no room keeps that reply.
 */
export function sendRest(
  message: PlannedMessage,
  delivery: Delivery,
  rcptReplies: readonly RawReply[],
  observer: TransactionObserver,
  send: SendBatch,
): void {
  const rest = message.content.bytes === undefined ? [] : withoutRoom(rcptReplies.map(({ reply }) => reply));
  if (rest.length === 0) return observer.resolve(delivery);
  const room = Math.max(LEAST_ROOM, rcptReplies.filter(({ code }) => isPositive(code)).length);
  const portions = Array.from({ length: Math.ceil(rest.length / room) }, (_, n) =>
    rest.slice(n * room, (n + 1) * room),
  );
  const whole = new BatchedMessage(message);
  whole.record([...message.to.keys()], delivery);
  whole.sendBatches(portions, send).then(
    (delivery) => observer.resolve(delivery),
    (error) => observer.reject(error),
  );
}

/** Who was refused for want of room, by index: those behind the last one who was accepted. A full mailbox is something else. */
function withoutRoom(replies: readonly Reply[]): number[] {
  const last = replies.findLastIndex(({ code }) => isPositive(code));
  return [...replies.entries()]
    .filter(([index, { code, enhancedCode = ".5.3" }]) => {
      return index > last && (code === 452 || code === 552) && enhancedCode.endsWith(".5.3");
    })
    .map(([index]) => index);
}

/** What the portions of a message come to together. */
class BatchedMessage {
  readonly #message: PlannedMessage;
  readonly #replies: (Reply | undefined)[];
  #reply: Reply | undefined;

  constructor(message: PlannedMessage) {
    this.#message = message;
    this.#replies = message.to.map(() => undefined);
  }

  /** Sends the portions and gives the result. */
  async sendBatches(portions: readonly (readonly number[])[], send: SendBatch): Promise<Delivery> {
    for (const indexes of portions) await this.#add(indexes, send);
    return this.#delivery();
  }

  /** A portion was delivered, to some of its recipients at least. */
  record(indexes: readonly number[], { reply, replies }: Delivery): void {
    this.#reply = reply;
    for (const [at, index] of indexes.entries()) this.#replies[index] = replies[at];
  }

  async #add(indexes: readonly number[], send: SendBatch): Promise<void> {
    const { plan, to } = this.#message;
    const portion = { plan: { ...plan, recipients: pick(plan.recipients, indexes) }, to: pick(to, indexes) };
    try {
      const delivery = await new Promise<Delivery>((resolve, reject) => {
        // No other message may come between: the turn is not let go before the last portion.
        send({ ...this.#message, ...portion }, { release() {}, resolve, reject });
      });
      this.record(indexes, delivery);
    } catch (error) {
      if (this.#reply === undefined && !(error instanceof SMTPRecipientsRefused)) throw error;
      for (const index of indexes) this.#replies[index] = replyOf(error, to[index] ?? "");
    }
  }

  #delivery(): Delivery {
    const refused: Refused = Object.create(null);
    const accepted: string[] = [];
    const replies = this.#replies.filter((reply) => reply !== undefined);
    for (const [index, given] of this.#message.to.entries()) {
      const reply = replies[index];
      if (reply !== undefined && isPositive(reply.code)) accepted.push(given);
      else if (reply !== undefined) refused[given] = reply;
    }
    if (this.#reply !== undefined) return { accepted, refused, reply: this.#reply, replies };
    const temporary = replies.some(mayPass);
    throw new SMTPRecipientsRefused(refused, { temporary });
  }
}

function pick<T>(all: readonly T[], indexes: readonly number[]): T[] {
  return indexes.map((index) => all[index]).filter((one) => one !== undefined);
}

/** What a recipient of a portion that failed is told. */
function replyOf(error: unknown, recipient: string): Reply {
  const own = error instanceof SMTPRecipientsRefused ? error.recipients[recipient] : undefined;
  const reply = error instanceof SMTPResponseException ? error.reply : own;
  // 2yz to DATA ended the portion, and is no yes to the recipients: nothing was sent to them.
  if (reply !== undefined && !isPositive(reply.code)) return reply;
  const known =
    error instanceof SMTPException && error.delivery !== "unknown" ? "not sent" : "unknown whether delivered";
  return makeReply(451, [`4.4.2 ${known}: ${textOf(error)}`]);
}
