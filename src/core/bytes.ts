/** Bytes and texts, and the check that keeps control characters out of a command line. */

const encoder = new TextEncoder();

const strictDecoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/**
 * Decodes a server's bytes: as UTF-8, or as Latin-1 if they are not UTF-8, so that no byte is lost and
 * `Buffer.from(text, "latin1")` restores the bytes of another charset.
 */
export function decodeText(octets: Uint8Array): string {
  return asUtf8(octets) ?? latin1(octets);
}

/** Decodes UTF-8; undefined if the bytes are not UTF-8. */
export function asUtf8(octets: Uint8Array): string | undefined {
  try {
    return strictDecoder.decode(octets);
  } catch {
    return undefined;
  }
}

/** One character for each byte (ISO 8859-1). `TextDecoder` has only windows-1252 under that name. */
export function latin1(octets: Uint8Array): string {
  let text = "";
  // Spreading the octets would take ten times as long.
  for (let at = 0; at < octets.length; at += 4096) {
    text += Reflect.apply(String.fromCharCode, undefined, octets.subarray(at, at + 4096));
  }
  return text;
}

/** The bytes of a text that `latin1` returned; of any other text, the low byte of each UTF-16 code unit. */
export function latin1Octets(text: string): Uint8Array {
  const octets = new Uint8Array(text.length);
  for (let at = 0; at < text.length; at++) octets[at] = text.charCodeAt(at);
  return octets;
}

/** The UTF-8 bytes of a text. */
export function utf8(text: string): Uint8Array {
  return encoder.encode(text);
}

/** Bytes in lower-case hexadecimal. */
export function hex(octets: Uint8Array): string {
  return Array.from(octets, (octet) => octet.toString(16).padStart(2, "0")).join("");
}

/** One array with all parts in order. */
export function concat(parts: readonly Uint8Array[]): Uint8Array {
  const [first] = parts;
  if (first !== undefined && parts.length === 1) return first;
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** Matches most arguments, which need no further check. */
const PRINTABLE = /^[ -~]*$/;
const FORBIDDEN = /[\x00-\x1f\x7f]/;
const LONE_SURROGATE = /\p{Surrogate}/u;

/**
 * Returns `text` if a command line may contain it.
 * @throws {TypeError} if it is no string primitive or has a lone surrogate, which has no UTF-8 form
 * @throws {RangeError} if it holds CR, LF, NUL or another control character (RFC 5321 4.1.2)
 */
export function checkArgument(text: unknown, argument: string): string {
  if (typeof text !== "string") throw wrongType(argument, "a string", text);
  if (PRINTABLE.test(text)) return text;
  if (FORBIDDEN.test(text)) {
    throw new RangeError(`${argument} must not contain CR, LF, NUL or other control characters: ${quoted(text)}`);
  }
  if (hasLoneSurrogate(text)) throw new TypeError(`${argument} has a lone surrogate, which cannot be encoded`);
  return text;
}

/** True if a text has half of a surrogate pair, which no encoding can express: two such texts may become the same bytes. */
export function hasLoneSurrogate(text: string): boolean {
  return LONE_SURROGATE.test(text);
}

/** A value, quoted for an error message. */
export function quoted(value: unknown): string {
  return JSON.stringify(value);
}

/** The error for an argument of the wrong type. */
export function wrongType(argument: string, wanted: string, value: unknown): TypeError {
  return new TypeError(`${argument} must be ${wanted}, not ${kindOf(value)}`);
}

/** The type of a value, for an error message. */
export function kindOf(value: unknown): string {
  if (value === null) return "null";
  if (typeof value !== "object") return typeof value;
  return Object.prototype.toString.call(value).slice(8, -1);
}
