/** Settles a held message by the finding of a person. */
import { type OutboxMessage, ticketKey, without } from "./message.ts";
import type { OutboxStore } from "./store.ts";
import { foundDelivered, type Ticket, type TicketStore } from "./ticket.ts";

/** A message whose outcome was found out. */
export type Resolved = {
  /**
   * Whether a worker has to go on with a message that was given up: it was delivered, but not to recipients that the
   * server had refused before.
   */
  readonly isLeft: boolean;
  /** The message, not held any more, without the recipients that have it according to the ticket (LMTP). */
  readonly message: OutboxMessage;
};

/** Writes into the ticket what became of the message, or gives the ticket back. */
export async function resolveTicket(
  { tickets, held }: OutboxStore,
  message: OutboxMessage,
  finding: "delivered" | "not-delivered",
): Promise<Resolved> {
  if (finding !== "delivered" && finding !== "not-delivered") {
    throw new RangeError("finding must be delivered or not-delivered");
  }
  const key = ticketKey(message);
  const { ticket } = await tickets.read(key);
  const { held: isHeld, over } = message.state;
  // A worker may be about to hold it: the ticket is there before the state is.
  if (ticket === undefined && isHeld === undefined && over === undefined) throw new Error(`${message.id} is not held`);
  const isAnswered = ticket?.answer?.outcome === "delivered";
  if (ticket !== undefined && !isAnswered) {
    if (finding === "delivered") await tickets.answer(key, ticket.token, foundDelivered(ticket));
    else await notDelivered(tickets, key, ticket);
  }
  await held.remove(message.id);
  const isDelivered = isAnswered || finding === "delivered";
  const isLeft = isDelivered && isHeld !== undefined && (ticket?.answer?.refused.length ?? 0) > 0;
  const left = without(message, ticket?.answer?.outcome === "unknown" ? (ticket.answer.accepted ?? []) : []);
  return { isLeft, message: { ...left, state: { ...left.state, held: undefined } } };
}

/** Gives a ticket back, unless it knows of recipients that have the message: the next attempt leaves them out (LMTP). */
async function notDelivered(tickets: TicketStore, key: string, { token, answer }: Ticket): Promise<void> {
  const knows = answer?.outcome === "unknown" && (answer.accepted ?? []).length > 0;
  if (knows) await tickets.answer(key, token, { ...answer, found: "not-delivered" });
  else await tickets.giveBack(key, token);
}
