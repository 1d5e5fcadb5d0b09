/** Writes the ASN.1 types of a certificate in DER (X.690). */

/** The bytes of a value, with its tag and length. */
export type Der = Uint8Array;

/** SEQUENCE. */
export function sequence(...parts: readonly Der[]): Der {
  return tagged(0x30, joined(parts));
}

/** SET. */
export function set(...parts: readonly Der[]): Der {
  return tagged(0x31, joined(parts));
}

/** INTEGER, from its bytes; a leading zero keeps it positive. */
export function integer(octets: Uint8Array): Der {
  const [first = 0] = octets;
  return tagged(0x02, first > 0x7f ? joined([Uint8Array.of(0), octets]) : octets);
}

/** BOOLEAN, true. */
export const TRUE: Der = Uint8Array.of(0x01, 0x01, 0xff);

/** OBJECT IDENTIFIER, by its numbers. */
export function oid(text: string): Der {
  const [first = 0, second = 0, ...rest] = text.split(".").map(Number);
  return tagged(0x06, Uint8Array.from([first * 40 + second, ...rest.flatMap(base128)]));
}

/** UTF8String. */
export function utf8String(text: string): Der {
  return tagged(0x0c, new TextEncoder().encode(text));
}

/** GeneralizedTime, in whole seconds. */
export function generalizedTime(date: Date): Der {
  const text = date
    .toISOString()
    .replace(/\.\d+Z$/, "Z")
    .replace(/[-:T]/g, "");
  return tagged(0x18, new TextEncoder().encode(text));
}

/** BIT STRING of whole bytes; the last `unused` bits do not count. */
export function bitString(octets: Uint8Array, unused = 0): Der {
  return tagged(0x03, joined([Uint8Array.of(unused), octets]));
}

/** OCTET STRING. */
export function octetString(octets: Uint8Array): Der {
  return tagged(0x04, octets);
}

/** A value of the kind that its context says: primitive, or [n] EXPLICIT if it holds values. */
export function context(number: number, octets: Uint8Array, kind: "primitive" | "constructed"): Der {
  return tagged((kind === "primitive" ? 0x80 : 0xa0) + number, octets);
}

/** PEM of a value (RFC 7468). */
export function pem(label: string, octets: Uint8Array): string {
  const base64 = btoa(String.fromCharCode(...octets)).replace(/.{64}/g, "$&\n");
  return `-----BEGIN ${label}-----\n${base64.trimEnd()}\n-----END ${label}-----\n`;
}

function tagged(tag: number, content: Uint8Array): Der {
  return joined([Uint8Array.of(tag), length(content.length), content]);
}

function length(count: number): Uint8Array {
  if (count < 0x80) return Uint8Array.of(count);
  return count < 0x100 ? Uint8Array.of(0x81, count) : Uint8Array.of(0x82, count >> 8, count & 0xff);
}

function base128(number: number): number[] {
  const digits = [number & 0x7f];
  for (let rest = number >>> 7; rest > 0; rest >>>= 7) digits.unshift((rest & 0x7f) | 0x80);
  return digits;
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
