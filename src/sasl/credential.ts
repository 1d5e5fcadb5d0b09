/** Checks user names, passwords and identities that are sent unchanged, in UTF-8. */
import { hasLoneSurrogate } from "../core/bytes.ts";

const CONTROL = /[\x00-\x1f\x7f]/;

/**
 * Returns the value itself: SASLprep is the server's task (RFC 4616 2). Control characters of ASCII separate the fields
 * of messages, and are not part of a real password: usually they are the end of the line that it was read from.
 * @param argument - the name of the value in errors, which never show any of it
 * @throws TypeError if it is not a string, or contains NUL or a lone surrogate, which has no UTF-8 form
 * @throws RangeError if it contains another control character
 */
export function checkCredential(value: unknown, argument: string): string {
  if (typeof value !== "string") throw new TypeError(`${argument} must be a string`);
  if (value.includes("\0")) throw new TypeError(`${argument} must not hold NUL`);
  if (CONTROL.test(value)) throw new RangeError(`${argument} must not hold control characters, such as a line end`);
  if (hasLoneSurrogate(value)) throw new TypeError(`${argument} has a lone surrogate, which cannot be encoded`);
  return value;
}
