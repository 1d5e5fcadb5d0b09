/** What `deliver()` takes, checked; loaded when it is first called. */
import { contentOf } from "../client/source.ts";
import { wrongType } from "../core/bytes.ts";
import type { RcptOptions } from "../core/extensions/extension.ts";
import {
  addressesOf,
  type DeliveryRequest,
  mailParametersOf,
  NONE,
  type Request,
  rcptParametersOf,
  whenReady,
} from "./delivery.ts";
import { checkObject } from "./options.ts";

/**
 * Checks what `deliver` was given.
 * @throws as `requestOf` does
 */
export function requestOfDelivery(delivery: DeliveryRequest): Request | Promise<Request> {
  const { from, to, body, bodyType, signal: _, ...options } = delivery;
  if (!Array.isArray(to)) throw wrongType("to", "an array", to);
  const content = contentOf(body, "body");
  const entries = to.map(entryOf);
  const nameOf = (index?: number): string => (index === undefined ? "from" : (entries[index]?.name ?? ""));
  const addresses = addressesOf(
    from,
    entries.map(({ address }) => address),
    nameOf,
  );
  const typed = bodyType === undefined ? options : { ...options, body: bodyType };
  const asked = [mailParametersOf(typed), ...entries.map((entry) => rcptParametersOf(entry.options))];
  return whenReady(addresses, asked, ({ sender, recipients }, [parameters = NONE, ...own]) => ({
    from: sender.given,
    sender: sender.mailbox,
    recipients: recipients.map((recipient, index) => ({ ...recipient, parameters: own[index] ?? NONE })),
    parameters,
    content,
    utf8Headers: false,
  }));
}

type Entry = { readonly name: string; readonly address: unknown; readonly options: RcptOptions };

function entryOf(entry: unknown, index: number): Entry {
  const name = `to[${index}]`;
  if (typeof entry === "string") return { name, address: entry, options: {} };
  const { address, ...options }: { address?: unknown } = { ...checkObject(entry, name) };
  return { name: `${name}.address`, address, options };
}
