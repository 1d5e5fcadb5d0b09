/**
 * Sends a message to more recipients than a server accepts at once: the others follow in separate transactions on the
 * same connection, and the caller gets one result.
 */
import { aLabel } from "../core/a-label.ts";
import { parseMailbox } from "../core/address.ts";
import { portionsWithin, readLimits } from "../core/extensions/limits.ts";
import { mayPass, saysNoRoom } from "../core/refused-command.ts";
import { isPositive, makeReply, type RawReply, type Refused, type Reply } from "../core/reply.ts";
import { SMTPException, SMTPRecipientsRefused, SMTPResponseException } from "../errors.ts";
import type { Delivery } from "./outcome.ts";
import { textOf } from "./session-end.ts";
import type { PlannedMessage, TransactionObserver } from "./transaction.ts";

/** Begins to send a message, or a part of it. */
export type SendBatch = (portion: PlannedMessage, observer: TransactionObserver) => void;

/** The number of recipients that every server must accept (RFC 5321 4.5.3.1.8). */
const LEAST_ROOM = 100;

/**
 * Sends a message to a server with these LIMITS (RFC 9422), whole if possible, otherwise in portions, one by one. A
 * stream cannot be sent twice: it is sent whole, and the server refuses excess recipients.
 *
 * Once a recipient has the message, `refused` reports the others, with the server's reply, or a synthetic 451 (RFC 5321
 * 3.8) if the connection was lost. If all recipients of all portions were refused, the observer gets an
 * `SMTPRecipientsRefused`; if a portion fails in another way before any recipient has the message, it gets that error.
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

/** The domain as it is sent: a name is one domain, in A-labels or not. */
function domainOf(address: string): string {
  const mailbox = parseMailbox(address, "recipient");
  return (aLabel(mailbox) ?? mailbox).domain?.toLowerCase() ?? "";
}

/**
 * Continues after a transaction in which the server had no room for the last recipients: 452, or 552 from older servers
 * (RFC 5321 4.5.3.1.10). Recipients that still find no room keep that reply.
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

/** The indexes of recipients refused for lack of room: those after the last accepted one, except full mailboxes. */
function withoutRoom(replies: readonly Reply[]): number[] {
  const last = replies.findLastIndex(({ code }) => isPositive(code));
  return [...replies.entries()].filter(([index, reply]) => index > last && saysNoRoom(reply)).map(([index]) => index);
}

/** Combines the results of a message's portions. */
class BatchedMessage {
  readonly #message: PlannedMessage;
  readonly #replies: (Reply | undefined)[];
  #reply: Reply | undefined;

  constructor(message: PlannedMessage) {
    this.#message = message;
    this.#replies = message.to.map(() => undefined);
  }

  /** Sends the portions and returns the result. */
  async sendBatches(portions: readonly (readonly number[])[], send: SendBatch): Promise<Delivery> {
    for (const indexes of portions) await this.#add(indexes, send);
    return this.#delivery();
  }

  /** Records a portion that was delivered to at least one recipient. */
  record(indexes: readonly number[], { reply, replies }: Delivery): void {
    this.#reply = reply;
    for (const [at, index] of indexes.entries()) this.#replies[index] = replies[at];
  }

  async #add(indexes: readonly number[], send: SendBatch): Promise<void> {
    const { plan, to } = this.#message;
    const portion = { plan: { ...plan, recipients: pick(plan.recipients, indexes) }, to: pick(to, indexes) };
    try {
      const delivery = await new Promise<Delivery>((resolve, reject) => {
        // The turn is kept until the last portion: no other message may come between.
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

/** The reply for a recipient of a failed portion. */
function replyOf(error: unknown, recipient: string): Reply {
  const own = error instanceof SMTPRecipientsRefused ? error.recipients[recipient] : undefined;
  const reply = error instanceof SMTPResponseException ? error.reply : own;
  // A 2yz reply to DATA ended the portion without accepting its recipients: no message was sent.
  if (reply !== undefined && !isPositive(reply.code)) return reply;
  const known =
    error instanceof SMTPException && error.delivery !== "unknown" ? "not sent" : "unknown whether delivered";
  return makeReply(451, [`4.4.2 ${known}: ${textOf(error)}`]);
}
