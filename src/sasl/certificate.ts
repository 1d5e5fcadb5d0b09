/** Finds the hash that a certificate was signed with, for channel binding (RFC 5929 4.1). */
import { hex } from "../core/bytes.ts";

/** The hashes of WebCrypto that a binding may use. */
export type BindingHash = "SHA-256" | "SHA-384" | "SHA-512";

/** Object identifiers of signature algorithms, in hexadecimal. RFC 5929 replaces MD5 and SHA-1 by SHA-256. */
const HASHES: ReadonlyMap<string, BindingHash> = new Map([
  ["2a864886f70d010104", "SHA-256"], // md5WithRSAEncryption
  ["2a864886f70d010105", "SHA-256"], // sha1WithRSAEncryption
  ["2a864886f70d01010b", "SHA-256"], // sha256WithRSAEncryption
  ["2a864886f70d01010c", "SHA-384"], // sha384WithRSAEncryption
  ["2a864886f70d01010d", "SHA-512"], // sha512WithRSAEncryption
  ["2a8648ce3d0401", "SHA-256"], // ecdsa-with-SHA1
  ["2a8648ce3d040302", "SHA-256"], // ecdsa-with-SHA256
  ["2a8648ce3d040303", "SHA-384"], // ecdsa-with-SHA384
  ["2a8648ce3d040304", "SHA-512"], // ecdsa-with-SHA512
]);

/**
 * The hash for the binding to a certificate in DER. Undefined if it is not defined, as for Ed25519, which has no hash
 * of its own, or if the bytes are no certificate.
 */
export function signatureHash(certificate: Uint8Array): BindingHash | undefined {
  // Certificate ::= SEQUENCE { tbsCertificate, signatureAlgorithm SEQUENCE { algorithm OID, … }, signature }
  const outer = element(certificate, 0);
  const signed = outer && element(certificate, outer.start);
  const algorithm = signed && element(certificate, signed.end);
  const identifier = algorithm && element(certificate, algorithm.start);
  if (identifier === undefined || certificate[algorithm?.start ?? 0] !== OBJECT_IDENTIFIER) return undefined;
  const octets = certificate.subarray(identifier.start, identifier.end);
  return HASHES.get(hex(octets));
}

const OBJECT_IDENTIFIER = 6;

/** The range of the contents of the DER element at `at`; undefined if it is incomplete. */
function element(der: Uint8Array, at: number): { start: number; end: number } | undefined {
  const first = der[at + 1];
  if (first === undefined) return undefined;
  const more = first < 0x80 ? 0 : first & 0x7f;
  let length = first < 0x80 ? first : 0;
  for (let i = 0; i < more; i++) length = length * 256 + (der[at + 2 + i] ?? 0);
  const start = at + 2 + more;
  return start + length <= der.length ? { start, end: start + length } : undefined;
}
