/** The sending methods, as `SMTP` and `SMTPPool` share them: from arguments to an outcome. */
import { settle } from "../client/caller-stack.ts";
import { type Body, type Content, contentOf, discard } from "../client/content.ts";
import { MessageDelivery, type MessageRequest } from "../client/delivery.ts";
import { type Delivery, plainDelivery } from "../client/outcome.ts";
import type { Refused } from "../core/reply.ts";
import { contentOfDelivery, type DeliveryRequest, type Envelope, requestOf, requestOfDelivery } from "./envelope.ts";
import { discardMessage, requestOfMessage } from "./message.ts";
import { type CallOptions, callSignal, checkObject, checkSignal } from "./options.ts";

export type { DeliveryRequest, Envelope } from "./envelope.ts";

/** Delivers a request: a session, or a pool of them. */
export type Deliver = (
  request: MessageRequest | Promise<MessageRequest>,
  signal: AbortSignal | undefined,
) => Promise<Delivery>;

/** A message whose outcome is one promise. */
export class PromisedDelivery extends MessageDelivery {
  readonly #resolve: (outcome: Delivery) => void;
  readonly #reject: (error: unknown) => void;

  constructor(
    request: MessageRequest | Promise<MessageRequest>,
    signal: AbortSignal | undefined,
    resolve: (outcome: Delivery) => void,
    reject: (error: unknown) => void,
  ) {
    super(request, signal);
    this.#resolve = resolve;
    this.#reject = reject;
  }

  protected delivered(outcome: Delivery): void {
    this.#resolve(outcome);
  }

  protected failed(error: unknown): void {
    this.#reject(error);
  }
}

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
    return settle(releasingBody(content, deliver(requestOf(envelope, content), callSignal(call))), refusedOf);
  } catch (error) {
    return settle(releasingBody(content, Promise.reject(error)), refusedOf);
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
    const signal = signalOr(call, () => discardMessage(msg));
    const message = requestOfMessage(msg, envelope);
    if (!("stop" in message)) return settle(deliver(message, signal), refusedOf);
    const delivered = deliver(message.request, signal).catch((error) => {
      message.stop(error);
      throw error;
    });
    return settle(delivered, refusedOf);
  } catch (error) {
    return settle(Promise.reject(error), refusedOf);
  }
}

/** The signal of a call's options; `release` is called before they are refused. */
function signalOr(call: CallOptions | undefined, release: () => void): AbortSignal | undefined {
  try {
    return callSignal(call);
  } catch (error) {
    release();
    throw error;
  }
}

/** `deliver()`: the whole answer. */
export function deliverBy(deliver: Deliver, delivery: DeliveryRequest): Promise<Delivery> {
  let content: Content | undefined;
  try {
    checkObject(delivery, "delivery");
    content = contentOfDelivery(delivery);
    const request = requestOfDelivery(delivery, content);
    return settle(releasingBody(content, deliver(request, checkSignal(delivery.signal, "signal"))), plainDelivery);
  } catch (error) {
    return settle(releasingBody(content, Promise.reject(error)), plainDelivery);
  }
}

/** Releases an unread body before the failure is reported. */
function releasingBody<T>(content: Content | undefined, outcome: Promise<T>): Promise<T> {
  if (!content || content.bytes) return outcome;
  return outcome.catch((error) => {
    discard(content);
    throw error;
  });
}

const refusedOf = ({ refused }: Delivery): Refused => refused;
