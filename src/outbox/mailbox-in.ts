/** Addresses in text that others wrote: what is none is no error. */
import { parseMailbox } from "../core/address.ts";
import type { Mailbox } from "../core/mailbox.ts";

/** The mailbox of a text, which may have a name, angle brackets or a comment; undefined if it is none. */
export function mailboxIn(text: string): Mailbox | undefined {
  try {
    return parseMailbox(text, "address");
  } catch {
    return undefined;
  }
}
