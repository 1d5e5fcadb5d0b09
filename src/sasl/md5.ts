/** MD5 (RFC 1321) and HMAC-MD5 (RFC 2104) for CRAM-MD5, which WebCrypto lacks. Not for uses that need a strong hash. */

const BLOCK = 64;
const ROTATIONS = [7, 12, 17, 22, 5, 9, 14, 20, 4, 11, 16, 23, 6, 10, 15, 21];
/** The word of the block that round r uses in step i is (FACTORS[r] * i + OFFSETS[r]) mod 16. */
const FACTORS = [1, 5, 3, 7];
const OFFSETS = [0, 1, 5, 0];

/** The MD5 of `message`: 16 bytes. */
export function md5(message: Uint8Array): Uint8Array {
  const padded = new Uint8Array(message.length + 8 - ((message.length + 8) % BLOCK) + BLOCK);
  padded.set(message);
  padded[message.length] = 0x80;
  const words = new DataView(padded.buffer);
  words.setUint32(padded.length - 8, message.length * 8, true);
  words.setUint32(padded.length - 4, Math.floor(message.length / 2 ** 29), true);

  let [a0, b0, c0, d0] = [0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476];
  for (let block = 0; block < padded.length; block += BLOCK) {
    let [a, b, c, d] = [a0, b0, c0, d0];
    for (let i = 0; i < 64; i++) {
      const round = i >> 4;
      const mixed = [(b & c) | (~b & d), (b & d) | (c & ~d), b ^ c ^ d, c ^ (b | ~d)][round] ?? 0;
      const word = words.getInt32(block + 4 * (((FACTORS[round] ?? 0) * i + (OFFSETS[round] ?? 0)) % 16), true);
      const sum = (a + mixed + word + Math.floor(2 ** 32 * Math.abs(Math.sin(i + 1)))) | 0;
      const rotation = ROTATIONS[4 * round + (i % 4)] ?? 0;
      [a, b, c, d] = [d, (b + ((sum << rotation) | (sum >>> (32 - rotation)))) | 0, b, c];
    }
    [a0, b0, c0, d0] = [(a0 + a) | 0, (b0 + b) | 0, (c0 + c) | 0, (d0 + d) | 0];
  }

  const digest = new DataView(new ArrayBuffer(16));
  [a0, b0, c0, d0].forEach((word, i) => {
    digest.setInt32(4 * i, word, true);
  });
  return new Uint8Array(digest.buffer);
}

/** The HMAC-MD5 of `message` under `key`: 16 bytes. */
export function hmacMd5(key: Uint8Array, message: Uint8Array): Uint8Array {
  const padded = new Uint8Array(BLOCK);
  padded.set(key.length > BLOCK ? md5(key) : key);
  const inner = md5(
    concat(
      padded.map((byte) => byte ^ 0x36),
      message,
    ),
  );
  return md5(
    concat(
      padded.map((byte) => byte ^ 0x5c),
      inner,
    ),
  );
}

function concat(first: Uint8Array, second: Uint8Array): Uint8Array {
  const both = new Uint8Array(first.length + second.length);
  both.set(first);
  both.set(second, first.length);
  return both;
}
