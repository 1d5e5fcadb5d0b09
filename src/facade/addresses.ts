/** The reading of addresses that are not all plainly `a@b`: loaded when there is such a one. */
import { parseMailbox } from "../core/address.ts";
import type { Address, Addresses } from "./delivery.ts";

/**
 * Reads the sender, which may be the null path, and the recipients, who are somebody.
 * @throws {TypeError} or {RangeError} naming the one that is not clearly an address
 */
export function readAddresses(
  sender: unknown,
  recipients: readonly unknown[],
  nameOf: (index?: number) => string,
): Addresses {
  return { sender: read(sender, nameOf()), recipients: recipients.map((to, index) => recipient(to, nameOf(index))) };
}

function recipient(text: unknown, argument: string): Address {
  const address = read(text, argument);
  if (address.mailbox.path !== "") return address;
  throw new RangeError(`${argument} must be an address, not ${JSON.stringify(text)}`);
}

function read(text: unknown, argument: string): Address {
  const mailbox = parseMailbox(text, argument);
  return { given: String(text), mailbox };
}
