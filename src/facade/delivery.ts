/** Converts the arguments of the sending methods to a checked message, and its outcome to their result. */
import { withCallers } from "../client/caller-stack.ts";
import type { Client } from "../client/client.ts";
import { type Body, type Content, contentOf, discard } from "../client/content.ts";
import { MessageDelivery, type MessageRequest } from "../client/delivery.ts";
import type { Events } from "../client/events.ts";
import { type Delivery, plainDelivery } from "../client/outcome.ts";
import { type Caller, PendingCall, type ReadOutcome } from "../client/pending-call.ts";
import type { Refused } from "../core/reply.ts";
import { contentOfDelivery, type DeliveryRequest, type Envelope, requestOf, requestOfDelivery } from "./envelope.ts";
import { discardMessage, requestOfMessage } from "./message.ts";
import { type CallOptions, callSignal, checkObject, checkSignal } from "./options.ts";

export type { DeliveryRequest, Envelope } from "./envelope.ts";

/** Sends a checked message, by a session or by a pool; resolves with the value that `read` makes of the outcome. */
export type Deliver = <Result>(
  request: MessageRequest | Promise<MessageRequest>,
  signal: AbortSignal | undefined,
  read: ReadOutcome<Result>,
) => Promise<Result>;

/** Sends messages by a client, and reports them to its events. */
export function delivererOf(client: Client, events: Events): Deliver {
  const deliver: Deliver = (request, signal, read) => {
    const call = new PendingCall(read);
    try {
      client.deliver(new CallersDelivery(request, signal, call));
    } catch (error) {
      call.failed(error);
    }
    return call.promise;
  };
  return reporting(deliver, events);
}

/** Delivers messages, and reports each to the events while there is a listener. */
export function reporting(deliver: Deliver, events: Events): Deliver {
  // A separate function: a closure allocates its captured variables for each message, needed or not.
  const reported: Deliver = (request, signal, read) =>
    events.delivering(request, read, (read) => deliver(request, signal, read));
  return (request, signal, read) =>
    events.enabled === undefined ? deliver(request, signal, read) : reported(request, signal, read);
}

/** A message whose outcome one call receives. */
class CallersDelivery extends MessageDelivery {
  readonly #caller: Caller;

  constructor(request: MessageRequest | Promise<MessageRequest>, signal: AbortSignal | undefined, caller: Caller) {
    super(request, signal);
    this.#caller = caller;
  }

  protected delivered(outcome: Delivery): void {
    this.#caller.delivered(outcome);
  }

  protected failed(error: unknown): void {
    this.#caller.failed(error);
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
    return withCallers(releasingBody(content, deliver(requestOf(envelope, content), callSignal(call), refusedOf)));
  } catch (error) {
    return withCallers(releasingBody(content, Promise.reject(error)));
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
    if (!("stop" in message)) return withCallers(deliver(message, signal, refusedOf));
    const delivered = deliver(message.request, signal, refusedOf).catch((error) => {
      message.stop(error);
      throw error;
    });
    return withCallers(delivered);
  } catch (error) {
    return withCallers(Promise.reject(error));
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
    const signal = checkSignal(delivery.signal, "signal");
    return withCallers(releasingBody(content, deliver(request, signal, plainDelivery)));
  } catch (error) {
    return withCallers(releasingBody(content, Promise.reject(error)));
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
