/** Envelope addresses: converts an argument to a path for MAIL and RCPT, or refuses it before a byte is sent. */
import { makeMailbox, scanAddresses } from "./address-list.ts";
import { checkArgument } from "./bytes.ts";
import { isPlainPath, type Mailbox } from "./mailbox.ts";

/**
 * Reads an envelope address of `sendmail`, `mail` and `rcpt`: `a@b`, `<a@b>`, `Name <a@b>`, `a@b (comment)`,
 * `postmaster`; `<>` and "" are the null path. Keeps the local part unchanged; drops a source route.
 * @throws {TypeError} if it is no string primitive or has a lone surrogate
 * @throws {RangeError} if it holds a control character, or is not clearly one address (RFC 5321 4.1.2)
 */
export function parseMailbox(text: unknown, argument: string): Mailbox {
  const checked = checkArgument(text, argument);
  if (checked === "") return makeMailbox("");
  if (isPlainPath(checked)) {
    const at = checked.indexOf("@");
    return makeMailbox(checked.slice(0, at), checked.slice(at + 1));
  }
  const fail = (reason: string): never => {
    throw new RangeError(
      `${argument} must be one address, like "Name <a@example.com>", but has ${reason}: ${excerpt(checked)}`,
    );
  };
  const [mailbox] = scanAddresses(checked, "one", fail);
  return mailbox ?? fail("no address");
}

/** The start of a text, quoted for an error message. */
export function excerpt(text: string): string {
  return JSON.stringify(text.length > 200 ? `${text.slice(0, 200)}…` : text);
}

/**
 * Python's `smtplib.quoteaddr`: the address in angle brackets, even if the closing one is missing. Text that cannot be
 * parsed is returned in angle brackets, without others in it; the methods that send refuse it.
 * @throws {TypeError} if it is no string primitive or has a lone surrogate
 * @throws {RangeError} if it holds a control character
 */
export function quoteaddr(addrstring: string): string {
  const text = checkArgument(addrstring, "addrstring");
  const path = pathIn(text) ?? pathIn(`${text}>`) ?? emptyPath(text) ?? text.replace(/[<>]/g, "").trim();
  return `<${path}>`;
}

/** A display name with empty brackets is the null path in Python. */
function emptyPath(text: string): string | undefined {
  return /^[^<>@]+<[ \t]*>[ \t]*$/.test(text) ? "" : undefined;
}

function pathIn(text: string): string | undefined {
  try {
    return parseMailbox(text, "addrstring").path;
  } catch {
    return undefined;
  }
}
