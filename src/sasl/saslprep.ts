/** Prepares user names and passwords for the wire: SASLprep (RFC 4013), a profile of stringprep (RFC 3454). */

import { checkCredential } from "./credential.ts";

/** RFC 3454 C.1.2. U+200B is in B.1 too; RFC 4013 2.1 names this table first. */
const SPACE = /[\p{Zs}\u200b]/gu;
/** RFC 3454 B.1. */
const NOTHING = /\u00ad|\u034f|\u1806|[\u180b-\u180d]|\u200c|\u200d|\u2060|[\ufe00-\ufe0f]|\ufeff/g;
/** RFC 3454 C.2 to C.9, by Unicode's properties, which also have later characters of the same kinds. */
const PROHIBITED = /[\p{Cc}\p{Cf}\p{Co}\p{Cs}\p{Zl}\p{Zp}\p{Noncharacter_Code_Point}\u2ff0-\u2ffb\ufffc\ufffd]/u;
/** RFC 3454 D.1, by script: characters written from right to left. */
const RIGHT_TO_LEFT =
  /(?![\p{M}\p{Nd}])[\p{Script=Hebrew}\p{Script=Arabic}\p{Script=Syriac}\p{Script=Thaana}\u061b\u061f\u0640]/u;
/** RFC 3454 D.2, of which only the letters matter. */
const LEFT_TO_RIGHT =
  /(?![\p{Script=Hebrew}\p{Script=Arabic}\p{Script=Syriac}\p{Script=Thaana}\u0640])[\p{L}\p{Nl}\p{Mc}]/u;

/**
 * Prepares `value` by SASLprep. ASCII without control characters is not changed. Code points that Unicode 3.2 did not
 * have are allowed, as in a stringprep "query", which is what a client sends (RFC 4616 2), and are normalized by the
 * runtime's version of Unicode.
 *
 * @param argument - the name of the value in errors, which never show any of it.
 * @throws TypeError if it is not a string. @throws RangeError if RFC 4013 2.3 or 2.4 prohibits it.
 */
export function saslprep(value: string, argument: string): string {
  if (typeof value !== "string") throw new TypeError(`${argument} must be a string`);
  const prepared = value.replace(SPACE, " ").replace(NOTHING, "").normalize("NFKC");
  if (isProhibited(prepared)) {
    throw new RangeError(`${argument} holds a character that SASLprep prohibits (RFC 4013 2.3)`);
  }
  const characters = [...prepared];
  if (
    RIGHT_TO_LEFT.test(prepared) &&
    (LEFT_TO_RIGHT.test(prepared) ||
      !RIGHT_TO_LEFT.test(characters[0] ?? "") ||
      !RIGHT_TO_LEFT.test(characters.at(-1) ?? ""))
  ) {
    throw new RangeError(`${argument} mixes writing directions as SASLprep prohibits (RFC 4013 2.4)`);
  }
  return prepared;
}

/** Whether a character of `value` is in stringprep's tables of prohibited characters. */
export function isProhibited(value: string): boolean {
  return PROHIBITED.test(value);
}

/**
 * A credential for SCRAM: prepared, or unchanged if SASLprep prohibits it, since servers then store it unchanged.
 *
 * @throws TypeError or RangeError as `checkCredential` does
 */
export function prepareCredential(value: unknown, argument: string): string {
  const given = checkCredential(value, argument);
  try {
    return saslprep(given, argument);
  } catch {
    return given;
  }
}
