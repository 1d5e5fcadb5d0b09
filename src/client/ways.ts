/**
 * How a message goes where one transaction, answered step by step, is not all: in one flight, or in portions. Loaded when
 * that happens.
 */
import type { Connection } from "./connection.ts";
import type { Conversation } from "./conversation.ts";
import { lazy } from "./lazy.ts";
import { type Send, sendWithin } from "./portions.ts";
import type { Content } from "./source.ts";
import { type Message, type MessageObserver, runTransaction } from "./transaction.ts";

const eagerly = lazy(() => import("./eager.ts"));

/** Sends a message: eagerly where that is asked for and possible, and in portions where the server has LIMITS. */
export function sendSpecially(
  { settings, pipelines, introduction }: Conversation,
  connection: Connection,
  message: Message,
  observer: MessageObserver,
): unknown {
  const { protocol } = settings;
  const eager =
    pipelines && settings.pipelining === "eager" && message.plan.verb === "BDAT" && isSmall(message.content);
  const send: Send = (portion, its) =>
    eager
      ? eagerly(({ sendEagerly }) => sendEagerly(connection, portion, protocol, its))
      : runTransaction(connection, portion, { protocol, pipelining: pipelines }, its);
  const { limits } = introduction.features;
  return limits === undefined ? send(message, observer) : sendWithin(limits, message, observer, send);
}

/** Larger messages than this, and streams, do not go out before their envelope was answered. */
function isSmall({ octets }: Content): boolean {
  return octets !== undefined && octets <= 262_144;
}
