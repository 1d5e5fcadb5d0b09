/** The sending methods, as `SMTP` and `SMTPPool` share them: from arguments to an outcome. */
import { type Delivery, plainDelivery } from "../client/outcome.ts";
import { type Body, type Content, contentOf, discard } from "../client/source.ts";
import type { Message as PlannedMessage } from "../client/transaction.ts";
import { type EightBitPolicy, planMessage, type Server } from "../core/plan.ts";
import type { Refused } from "../core/reply.ts";
import {
  contentOfDelivery,
  type DeliveryRequest,
  type Envelope,
  type Request,
  requestOf,
  requestOfDelivery,
} from "./envelope.ts";
import { requestOfMessage } from "./message.ts";
import { type CallOptions, callSignal, checkObject, checkSignal } from "./options.ts";

export type { DeliveryRequest, Envelope, Request } from "./envelope.ts";

/** Delivers a request: a session, or a pool of them. */
export type Deliver = (request: Request | Promise<Request>, signal: AbortSignal | undefined) => Promise<Delivery>;

/** Python's `sendmail()`. Nothing is awaited, so that a queued message leaves little for the garbage collector. */
export function sendmailBy(
  deliver: Deliver,
  msg: Body,
  envelope: Envelope,
  call: CallOptions | undefined,
): Promise<Refused> {
  let content: Content | undefined;
  try {
    content = contentOf(msg, "msg");
    return releasingBody(content, deliver(requestOf(envelope, content), callSignal(call)).then(refusedOf));
  } catch (error) {
    return releasingBody(content, Promise.reject(error));
  }
}

/** Python's `send_message()`. A message that is not in memory yet is read at once, and awaited in the queue. */
export function sendMessageBy(
  deliver: Deliver,
  msg: unknown,
  envelope: Envelope,
  call: CallOptions | undefined,
): Promise<Refused> {
  try {
    const signal = callSignal(call);
    const message = requestOfMessage(msg, envelope);
    if (!("stop" in message)) return deliver(message, signal).then(refusedOf);
    return deliver(message.request, signal).then(refusedOf, (error) => {
      message.stop(error);
      throw error;
    });
  } catch (error) {
    return Promise.reject(error);
  }
}

/** `deliver()`: the whole answer. */
export function deliverBy(deliver: Deliver, delivery: DeliveryRequest): Promise<Delivery> {
  let content: Content | undefined;
  try {
    checkObject(delivery, "delivery");
    content = contentOfDelivery(delivery);
    const request = requestOfDelivery(delivery, content);
    return releasingBody(content, deliver(request, checkSignal(delivery.signal, "signal")).then(plainDelivery));
  } catch (error) {
    return releasingBody(content, Promise.reject(error));
  }
}

/** Releases an unread body before the failure is reported. */
export function releasingBody<T>(content: Content | undefined, outcome: Promise<T>): Promise<T> {
  if (!content || content.bytes) return outcome;
  return outcome.catch((error) => {
    discard(content);
    throw error;
  });
}

const refusedOf = ({ refused }: Delivery): Refused => refused;

/** The request as this server can take it; `planMessage` tells what it throws. */
export function planRequest(request: Request, server: Server, policy: EightBitPolicy = "refuse"): PlannedMessage {
  const { from, recipients, content } = request;
  return { from, recipients, content, plan: planMessage(request, server, policy) };
}
