/** What only long bodies need: quick searches for `DataEncoder` to skip by, and one for octets over 127. */

const HIGH_BITS = ~0x7f7f7f7f;

/**
 * For octets of which nothing is known: goes over such as are under 128, of which each LF has its CR and each CR its LF,
 * and none is a dot that begins a line; sixteen at a time.
 */
export function skipSendable(_: Uint8Array, words: DataView, from: number, length: number): number {
  let i = from;
  for (; i + 16 <= length; i += 16) {
    const found =
      unsendable(words, i) | unsendable(words, i + 4) | unsendable(words, i + 8) | unsendable(words, i + 12);
    if ((found & HIGH_BITS) !== 0) break;
  }
  return i;
}

/** For octets, any, that are known to have no lone CR or LF: goes over such as are no dot that begins a line. */
export function skipUndotted(_: Uint8Array, words: DataView, from: number, length: number): number {
  let i = from;
  for (; i + 16 <= length; i += 16) {
    const found = dots(words, i) | dots(words, i + 4) | dots(words, i + 8) | dots(words, i + 12);
    if ((found & HIGH_BITS) !== 0) break;
  }
  return i;
}

/** Whether an octet is over 127. */
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

/**
 * Of four octets from `i` on: a high bit where something belongs before one, or where one is over 127; now and then for
 * nothing, as in `body.ts`, where it is told how this works.
 */
function unsendable(words: DataView, i: number): number {
  const before = words.getInt32(i - 1, true);
  const octets = words.getInt32(i, true);
  const cr = (before ^ 0x0d0d0d0d) - 0x01010101;
  const lf = (octets ^ 0x0a0a0a0a) - 0x01010101;
  const dot = ((before ^ 0x0a0a0a0a) | (octets ^ 0x2e2e2e2e)) - 0x01010101;
  return (cr ^ lf) | dot | before | octets;
}

/** Of four octets, any, from `i` on: a high bit where a dot follows a LF; now and then for nothing above such a dot. */
function dots(words: DataView, i: number): number {
  const other = (words.getInt32(i - 1, true) ^ 0x0a0a0a0a) | (words.getInt32(i, true) ^ 0x2e2e2e2e);
  return (other - 0x01010101) & ~other;
}
