/** From the arguments of the sending methods to a checked message, and from its outcome to their result. */
import { settle } from "../client/caller-stack.ts";
import type { Client } from "../client/client.ts";
import { type Body, type Content, contentOf, discard } from "../client/content.ts";
import { MessageDelivery, type MessageRequest } from "../client/delivery.ts";
import type { Events } from "../client/events.ts";
import { type Delivery, plainDelivery } from "../client/outcome.ts";
import type { Refused } from "../core/reply.ts";
import { contentOfDelivery, type DeliveryRequest, type Envelope, requestOf, requestOfDelivery } from "./envelope.ts";
import { discardMessage, requestOfMessage } from "./message.ts";
import { type CallOptions, callSignal, checkObject, checkSignal } from "./options.ts";

export type { DeliveryRequest, Envelope } from "./envelope.ts";

/** Sends a checked message: by a session, or by a pool. */
export type Deliver = (
  request: MessageRequest | Promise<MessageRequest>,
  signal: AbortSignal | undefined,
) => Promise<Delivery>;

/** Sends messages by a client, and reports them to its events. */
export function delivererOf(client: Client, events: Events): Deliver {
  return (request, signal) =>
    events.delivering(
      request,
      () => new Promise((resolve, reject) => client.deliver(new PromisedDelivery(request, signal, resolve, reject))),
    );
}

/** A message whose outcome is one promise. */
class PromisedDelivery extends MessageDelivery {
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

/** Python's `sendmail()`. It awaits nothing, so that a queued message allocates little. */
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

/** Python's `send_message()`. Starts to read a message that is not in memory; the queue waits for it. */
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

/** The signal of a call's options; calls `release` before it refuses them. */
function signalOr(call: CallOptions | undefined, release: () => void): AbortSignal | undefined {
  try {
    return callSignal(call);
  } catch (error) {
    release();
    throw error;
  }
}

/** `deliver()`: resolves with all replies. */
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
