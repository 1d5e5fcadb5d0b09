/** The arithmetic of SCRAM (RFC 5802 3), by WebCrypto. */

/** The hashes that SCRAM is registered with here. */
export type ScramHash = "SHA-1" | "SHA-256" | "SHA-512";

/** The client's proof, and the signature that the server must send. */
export type Proofs = {
  readonly proof: Uint8Array;
  readonly serverSignature: Uint8Array;
};

/** The length of each hash in bytes. */
const LENGTHS: { readonly [hash in ScramHash]: number } = { "SHA-1": 20, "SHA-256": 32, "SHA-512": 64 };

/** ClientProof and ServerSignature for `authMessage`. */
export async function prove(
  hash: ScramHash,
  password: string,
  { salt, iterations }: { readonly salt: Uint8Array; readonly iterations: number },
  authMessage: string,
): Promise<Proofs> {
  const salted = await saltedPassword(hash, password, salt, iterations);
  const [clientKey, serverKey] = await Promise.all([
    hmac(hash, salted, "Client Key"),
    hmac(hash, salted, "Server Key"),
  ]);
  const storedKey = await crypto.subtle.digest(hash, clientKey);
  const [clientSignature, serverSignature] = await Promise.all([
    hmac(hash, storedKey, authMessage),
    hmac(hash, serverKey, authMessage),
  ]);
  const mask = new Uint8Array(clientSignature);
  const proof = new Uint8Array(clientKey).map((octet, i) => octet ^ (mask[i] ?? 0));
  return { proof, serverSignature: new Uint8Array(serverSignature) };
}

/** Compares in constant time. */
export function isSame(left: Uint8Array, right: Uint8Array): boolean {
  if (left.length !== right.length) return false;
  return left.reduce((difference, octet, i) => difference | (octet ^ (right[i] ?? 0)), 0) === 0;
}

/** Hi(): PBKDF2 with the length of the hash (RFC 5802 2.2). */
async function saltedPassword(
  hash: ScramHash,
  password: string,
  salt: Uint8Array,
  iterations: number,
): Promise<ArrayBuffer> {
  const key = await crypto.subtle.importKey("raw", encode(password), "PBKDF2", false, ["deriveBits"]);
  const how = { name: "PBKDF2", hash, salt: Uint8Array.from(salt), iterations };
  return crypto.subtle.deriveBits(how, key, 8 * LENGTHS[hash]);
}

async function hmac(hash: ScramHash, key: ArrayBuffer, text: string): Promise<ArrayBuffer> {
  const imported = await crypto.subtle.importKey("raw", key, { name: "HMAC", hash }, false, ["sign"]);
  return crypto.subtle.sign("HMAC", imported, encode(text));
}

function encode(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(text);
}
