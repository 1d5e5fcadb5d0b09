/** Certificates made in each test process: an authority, leaves for every kind of failure, a client. */
import { X509Certificate } from "node:crypto";
import { generate } from "selfsigned";

/** A certificate and its private key, in PEM. */
export type Pair = { cert: string; key: string };

/** All certificates of the TLS tests. */
export type Certificates = {
  /** The authority that signed all certificates except `selfSigned` and `foreign`. */
  ca: string;
  /** An authority that signed only `foreign`. */
  otherCa: string;
  /** Valid for "localhost", 127.0.0.1 and ::1. */
  good: Pair;
  /** For the same names, with another key. */
  renewed: Pair;
  /** Valid for "elsewhere.example" only. */
  wrongName: Pair;
  /** For "localhost", no longer valid. */
  expired: Pair;
  /** For "localhost", not valid yet. */
  future: Pair;
  /** For "localhost", self-signed. */
  selfSigned: Pair;
  /** For "localhost", signed by `otherCa`. */
  foreign: Pair;
  /** A client certificate, signed by `ca`. */
  client: Pair;
};

let made: Promise<Certificates> | undefined;

/** The certificates of this process; made at the first call. */
export function certificates(): Promise<Certificates> {
  made ??= make();
  return made;
}

/**
 * A certificate for "localhost" with an RSA key of this many bits, and the authority that signed it, which has 2,048.
 */
export function weakCertificate(bits: number): Promise<Pair & { ca: string }> {
  const known = weak.get(bits) ?? makeWeak(bits);
  weak.set(bits, known);
  return known;
}

/** RSA keys take long to make. */
const weak = new Map<number, Promise<Pair & { ca: string }>>();
let rsaAuthority: Promise<Pair> | undefined;

async function makeWeak(bits: number): Promise<Pair & { ca: string }> {
  rsaAuthority ??= authority("Test CA", { keyType: "rsa", keySize: 2048 });
  const ca = await rsaAuthority;
  return { ...(await leaf(ca, {}, { keyType: "rsa", keySize: bits })), ca: ca.cert };
}

/** The SHA-256 fingerprint of a certificate as Node writes it: upper-case hexadecimal with colons. */
export function fingerprint256(pem: string): string {
  return new X509Certificate(pem).fingerprint256;
}

const day = 24 * 60 * 60 * 1000;

type Leaf = { names?: string[]; addresses?: string[]; from?: number; until?: number; usage?: "server" | "client" };

async function make(): Promise<Certificates> {
  const [ca, other] = await Promise.all([authority("Test CA"), authority("Other CA")]);
  const [good, renewed, wrongName, expired, future, selfSigned, foreign, client] = await Promise.all([
    leaf(ca, { addresses: ["127.0.0.1", "::1"] }),
    leaf(ca, { addresses: ["127.0.0.1", "::1"] }),
    leaf(ca, { names: ["elsewhere.example"] }),
    leaf(ca, { from: -20, until: -10 }),
    leaf(ca, { from: 10, until: 20 }),
    leaf(undefined, { addresses: ["127.0.0.1"] }),
    leaf(other, { addresses: ["127.0.0.1"] }),
    leaf(ca, { names: ["client.example"], usage: "client" }),
  ]);
  return { ca: ca.cert, otherCa: other.cert, good, renewed, wrongName, expired, future, selfSigned, foreign, client };
}

type Key = { keyType: "rsa" | "ec"; keySize?: number };

async function authority(name: string, kind: Key = { keyType: "ec" }): Promise<Pair> {
  const made = await generate([{ name: "commonName", value: name }], {
    ...kind,
    algorithm: "sha256",
    notBeforeDate: new Date(Date.now() - 30 * day),
    extensions: [
      { name: "basicConstraints", cA: true, critical: true },
      { name: "keyUsage", keyCertSign: true, cRLSign: true, critical: true },
    ],
  });
  return { cert: made.cert, key: made.private };
}

async function leaf(ca: Pair | undefined, about: Leaf, kind: Key = { keyType: "ec" }): Promise<Pair> {
  const { names = ["localhost"], addresses = [], from = -1, until = 10, usage = "server" } = about;
  const made = await generate([{ name: "commonName", value: names[0] ?? "localhost" }], {
    ...kind,
    algorithm: "sha256",
    notBeforeDate: new Date(Date.now() + from * day),
    notAfterDate: new Date(Date.now() + until * day),
    ...(ca === undefined ? {} : { ca }),
    extensions: [
      { name: "basicConstraints", cA: false, critical: true },
      { name: "keyUsage", digitalSignature: true, critical: true },
      { name: "extKeyUsage", serverAuth: usage === "server", clientAuth: usage === "client" },
      {
        name: "subjectAltName",
        altNames: [
          ...names.map((value) => ({ type: 2 as const, value })),
          ...addresses.map((ip) => ({ type: 7 as const, ip })),
        ],
      },
    ],
  });
  return { cert: made.cert, key: made.private };
}
