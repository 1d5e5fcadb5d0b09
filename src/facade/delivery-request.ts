/** What `deliver()` takes, checked; loaded when it is first called. */
import { type Content, contentOf } from "../client/source.ts";
import { wrongType } from "../core/bytes.ts";
import { type DeliveryRequest, givingBack, NONE, nobody, type Request } from "./delivery.ts";
import { type Address, mailParametersOf, rcptParametersOf, recipientOf, senderOf, whenReady } from "./envelope.ts";
import { checkObject } from "./options.ts";

/**
 * Checks what `deliver` was given. A body that is not taken is given back.
 * @throws as `requestOf` does
 */
export function requestOfDelivery(delivery: DeliveryRequest): Request | Promise<Request> {
  const content = contentOf(delivery.body, "body");
  try {
    const request = checked(delivery, content);
    return request instanceof Promise ? givingBack({ content }, request) : request;
  } catch (error) {
    return givingBack({ content }, Promise.reject(error));
  }
}

function checked(delivery: DeliveryRequest, content: Content): Request | Promise<Request> {
  const { from, to, body: _body, bodyType, signal: _signal, ...options } = delivery;
  const { given, mailbox: sender } = senderOf(from, "from");
  if (!Array.isArray(to)) throw wrongType("to", "an array", to);
  if (to.length === 0) throw nobody();
  const entries = to.map(entryOf);
  const typed = bodyType === undefined ? options : { ...options, body: bodyType };
  const all = [mailParametersOf(typed), ...entries.map((entry) => rcptParametersOf(entry.options))];
  return whenReady(all, ([parameters = NONE, ...own]) => {
    const recipients = entries.map((entry, index) => ({ ...entry, parameters: own[index] ?? NONE }));
    return { from: given, sender, recipients, parameters, content, utf8Headers: false };
  });
}

function entryOf(entry: unknown, index: number): Address & { readonly options: object } {
  if (typeof entry === "string") return { ...recipientOf(entry, `to[${index}]`), options: {} };
  const { address, ...options }: { address?: unknown } = { ...checkObject(entry, `to[${index}]`) };
  return { ...recipientOf(address, `to[${index}].address`), options };
}
