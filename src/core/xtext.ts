/** Text inside ESMTP parameters: xtext (RFC 3461 4) and its form for UTF-8 addresses (RFC 6533 3). */
import { checkArgument, utf8 } from "./bytes.ts";

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/**
 * Encodes a text as xtext: `+`, `=`, the space and every byte over 126 of its UTF-8 form become `+XX`.
 * @throws {TypeError} if it is no string primitive or has a lone surrogate
 * @throws {RangeError} if it holds a control character, which delivery reports would contain
 */
export function encodeXtext(text: string, argument: string): string {
  return checkArgument(text, argument).replace(/[+= ]|[^\x00-\x7f]+/g, (run) => {
    let encoded = "";
    for (const octet of utf8(run)) encoded += `+${hex(octet)}`;
    return encoded;
  });
}

/**
 * Decodes xtext.
 * @throws {RangeError} if it is not xtext, or does not contain UTF-8
 */
export function decodeXtext(xtext: string): string {
  const octets: number[] = [];
  for (let at = 0; at < xtext.length; at++) {
    const code = xtext.charCodeAt(at);
    const pair = code === 0x2b ? xtext.slice(at + 1, at + 3) : undefined;
    if (pair === undefined ? code < 0x21 || code > 0x7e || code === 0x3d : !/^[\dA-F]{2}$/.test(pair)) {
      throw new RangeError(`not xtext (RFC 3461 4): ${JSON.stringify(xtext.slice(0, 200))}`);
    }
    octets.push(pair === undefined ? code : Number.parseInt(pair, 16));
    if (pair !== undefined) at += 2;
  }
  try {
    return decoder.decode(Uint8Array.from(octets));
  } catch (cause) {
    throw new RangeError("the xtext holds no UTF-8 text", { cause });
  }
}

/**
 * Encodes an address as utf-8-addr-xtext, for `ORCPT=utf-8;…`: it is safe with and without SMTPUTF8.
 * @throws {TypeError} if it is no string primitive or has a lone surrogate
 * @throws {RangeError} if it holds a control character
 */
export function encodeUtf8AddrXtext(address: string, argument: string): string {
  return checkArgument(address, argument).replace(/[+=\\ ]|[^\x00-\x7f]/gu, (character) => {
    return `\\x{${hex(character.codePointAt(0) ?? 0)}}`;
  });
}

function hex(number: number): string {
  return number.toString(16).toUpperCase().padStart(2, "0");
}
