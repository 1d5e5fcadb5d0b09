/** The sum that the sink should have, computed by code that shares nothing with it: CRC-32C, eight bytes at a time. */

const TABLES = Array.from({ length: 8 }, () => new Uint32Array(256));
const [first] = TABLES;
for (let i = 0; i < 256; i++) {
  let crc = i;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? 0x82f63b78 ^ (crc >>> 1) : crc >>> 1;
  first[i] = crc;
}
for (let k = 1; k < 8; k++) {
  for (let i = 0; i < 256; i++) {
    const before = TABLES[k - 1][i];
    TABLES[k][i] = first[before & 255] ^ (before >>> 8);
  }
}

const MASK_64 = (1n << 64n) - 1n;

/** The CRC-32C of `bytes`, continued from `crc`. */
export function crc32c(bytes, crc = 0) {
  const [t0, t1, t2, t3, t4, t5, t6, t7] = TABLES;
  const words = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  let c = ~crc;
  let i = 0;
  for (; i + 8 <= bytes.length; i += 8) {
    const low = c ^ words.getInt32(i, true);
    const high = words.getInt32(i + 4, true);
    c = t7[low & 255] ^ t6[(low >>> 8) & 255] ^ t5[(low >>> 16) & 255] ^ t4[low >>> 24];
    c ^= t3[high & 255] ^ t2[(high >>> 8) & 255] ^ t1[(high >>> 16) & 255] ^ t0[high >>> 24];
  }
  for (; i < bytes.length; i++) c = t0[(c ^ bytes[i]) & 255] ^ (c >>> 8);
  return ~c >>> 0;
}

/** One message's share of the sum, which does not depend on the messages' order. */
export function share(crc, length) {
  let z = (BigInt(crc) << 32n) | BigInt(length >>> 0);
  z = ((z ^ (z >> 30n)) * 0xbf58476d1ce4e5b9n) & MASK_64;
  z = ((z ^ (z >> 27n)) * 0x94d049bb133111ebn) & MASK_64;
  return z ^ (z >> 31n);
}

/** The sum of shares as the sink writes it. */
export function sumOf(shares) {
  const sum = shares.reduce((total, one) => (total + one) & MASK_64, 0n);
  return sum.toString(16).padStart(16, "0");
}
