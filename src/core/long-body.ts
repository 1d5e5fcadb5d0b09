/** Searches for long bodies only: two that let `DataEncoder` skip bytes, and one for bytes over 127. */
import { dots } from "./body.ts";

const LF = 10;
const CR = 13;
const DOT = 46;
const HIGH_BITS = ~0x7f7f7f7f;

/** For unchecked bytes: skips from line end to line end, while each is complete and no dot follows it. */
export function skipSendable(bytes: Uint8Array, words: DataView, from: number, length: number): number {
  let i = from;
  if ((bytes[i - 1] ?? 0) <= CR) return i;
  // Sixteen bytes, and the two that may follow a CR in the last place.
  while (i + 18 <= length) {
    const a = controls(words, i);
    const b = controls(words, i + 4);
    const c = controls(words, i + 8);
    const d = controls(words, i + 12);
    if ((a | b | c | d) === 0) {
      i += 16;
      continue;
    }
    i += a !== 0 ? firstOf(a) : b !== 0 ? 4 + firstOf(b) : c !== 0 ? 8 + firstOf(c) : 12 + firstOf(d);
    const octet = bytes[i];
    if (octet === LF || (octet === CR && (bytes[i + 1] !== LF || bytes[i + 2] === DOT))) break;
    i += octet === CR ? 2 : 1;
  }
  return i;
}

/** For bytes without lone CR or LF: skips to a dot that begins a line. */
export function skipUndotted(_: Uint8Array, words: DataView, from: number, length: number): number {
  let i = from;
  for (; i + 16 <= length; i += 16) {
    const found = dots(words, i) | dots(words, i + 4) | dots(words, i + 8) | dots(words, i + 12);
    if ((found & HIGH_BITS) !== 0) break;
  }
  return i;
}

/** Whether a byte is over 127. */
export function hasEightBit(bytes: Uint8Array): boolean {
  const { length } = bytes;
  const words = new DataView(bytes.buffer, bytes.byteOffset, length);
  let i = 0;
  for (; i + 16 <= length; i += 16) {
    const bits = words.getInt32(i) | words.getInt32(i + 4) | words.getInt32(i + 8) | words.getInt32(i + 12);
    if ((bits & HIGH_BITS) !== 0) return true;
  }
  for (; i < length; i++) if ((bytes[i] ?? 0) > 127) return true;
  return false;
}

/** For four bytes from `i` on, sets the high bit of the first under 14; higher bytes may have false positives. */
function controls(words: DataView, i: number): number {
  const octets = words.getInt32(i, true);
  return (octets - 0x0e0e0e0e) & ~octets & HIGH_BITS;
}

/** The index of the byte with the lowest high bit. */
function firstOf(highBits: number): number {
  const bits = highBits >>> 7;
  return (31 - Math.clz32(bits & -bits)) >>> 3;
}
