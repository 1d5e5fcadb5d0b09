/**
 * How a message goes where one transaction, answered step by step, is not all: in one flight, or in portions.
 */
import type { Connection } from "./connection.ts";
import type { Conversation } from "./conversation.ts";
import { sendEagerly } from "./eager.ts";
import { type Send, sendWithin } from "./portions.ts";
import type { Content } from "./source.ts";
import { type Message, type MessageObserver, runTransaction } from "./transaction.ts";

/** Sends a message: eagerly where that is asked for and possible, and in portions where the server has LIMITS. */
export function sendSpecially(
  conversation: Conversation,
  connection: Connection,
  message: Message,
  observer: MessageObserver,
): void {
  const limits = conversation.introduction.features["limits"];
  if (limits === undefined) return sendWhole(conversation, connection, message, observer);
  const send: Send = (portion, its) => sendWhole(conversation, connection, portion, its);
  return sendWithin(limits, message, observer, send);
}

function sendWhole(
  { settings, way }: Conversation,
  connection: Connection,
  message: Message,
  observer: MessageObserver,
): void {
  const possible = way.pipelining && message.plan.verb === "BDAT" && isSmall(message.content);
  if (settings.pipelining !== "eager" || !possible) {
    return runTransaction(connection, message, way, observer);
  }
  sendEagerly(connection, message, way.protocol, observer);
}

/** Larger messages than this, and streams, do not go out before their envelope was answered. */
function isSmall({ octets }: Content): boolean {
  return octets !== undefined && octets <= 262_144;
}
