/** Makes an authority and a certificate (RFC 5280) for one run of a test server. */
import { createHash, generateKeyPairSync, type KeyObject, randomBytes, sign } from "node:crypto";
import { isIP } from "node:net";
import {
  bitString,
  context,
  type Der,
  generalizedTime,
  integer,
  octetString,
  oid,
  pem,
  sequence,
  set,
  TRUE,
  utf8String,
} from "./der.ts";

/** The TLS material of a server, in PEM. */
export type ServerCertificate = { readonly cert: string; readonly key: string; readonly ca: string };

const DAY = 24 * 60 * 60 * 1000;

/** Days for which they are valid. */
const VALID = 30;

const ECDSA_WITH_SHA256 = sequence(oid("1.2.840.10045.4.3.2"));

/** A certificate for these names and addresses, and the authority that signed it. */
export function makeCertificate(names: readonly string[], now: Date = new Date()): ServerCertificate {
  const ca = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const own = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const issuer = nameOf("smtplib serve, authority of one run");
  const authority = [basicConstraints("authority"), keyUsage(0x06, 1), keyIdentifier(ca.publicKey)];
  const leaf = [
    basicConstraints("end"),
    keyUsage(0x80, 7),
    extension("2.5.29.37", sequence(oid("1.3.6.1.5.5.7.3.1"))),
    extension("2.5.29.17", alternativeNames(names)),
    authorityKeyIdentifier(ca.publicKey),
    keyIdentifier(own.publicKey),
  ];
  const subject = nameOf(names[0] ?? "localhost");
  return {
    ca: signed({ subject: issuer, issuer, key: ca.publicKey, extensions: authority, now }, ca.privateKey),
    cert: signed({ subject, issuer, key: own.publicKey, extensions: leaf, now }, ca.privateKey),
    key: String(own.privateKey.export({ type: "pkcs8", format: "pem" })),
  };
}

type Certificate = {
  readonly subject: Der;
  readonly issuer: Der;
  readonly key: KeyObject;
  readonly extensions: readonly Der[];
  readonly now: Date;
};

function signed({ subject, issuer, key, extensions, now }: Certificate, by: KeyObject): string {
  const serial = randomBytes(16);
  serial[0] = 0x01;
  const from = generalizedTime(new Date(now.getTime() - DAY));
  const until = generalizedTime(new Date(now.getTime() + VALID * DAY));
  const certificate = sequence(
    context(0, integer(Uint8Array.of(2)), "constructed"),
    integer(serial),
    ECDSA_WITH_SHA256,
    issuer,
    sequence(from, until),
    subject,
    spki(key),
    context(3, sequence(...extensions), "constructed"),
  );
  return pem("CERTIFICATE", sequence(certificate, ECDSA_WITH_SHA256, bitString(sign("sha256", certificate, by))));
}

function nameOf(common: string): Der {
  return sequence(set(sequence(oid("2.5.4.3"), utf8String(common))));
}

function spki(key: KeyObject): Uint8Array {
  return new Uint8Array(key.export({ type: "spki", format: "der" }));
}

function extension(id: string, value: Der, critical: "critical" | "ignorable" = "ignorable"): Der {
  const parts = critical === "critical" ? [TRUE] : [];
  return sequence(oid(id), ...parts, octetString(value));
}

function basicConstraints(kind: "authority" | "end"): Der {
  return extension("2.5.29.19", kind === "authority" ? sequence(TRUE) : sequence(), "critical");
}

/** The bits of the first byte, and the number of unused bits at its end. */
function keyUsage(bits: number, unused: number): Der {
  return extension("2.5.29.15", bitString(Uint8Array.of(bits), unused), "critical");
}

/** RFC 5280 4.2.1.2: any value that distinguishes keys. */
function identifierOf(key: KeyObject): Uint8Array {
  return new Uint8Array(createHash("sha256").update(spki(key)).digest().subarray(0, 20));
}

function keyIdentifier(key: KeyObject): Der {
  return extension("2.5.29.14", octetString(identifierOf(key)));
}

function authorityKeyIdentifier(key: KeyObject): Der {
  return extension("2.5.29.35", sequence(context(0, identifierOf(key), "primitive")));
}

function alternativeNames(names: readonly string[]): Der {
  return sequence(
    ...names.map((name) =>
      isIP(name) === 0
        ? context(2, new TextEncoder().encode(name), "primitive")
        : context(7, addressOctets(name), "primitive"),
    ),
  );
}

/** The 4 or 16 bytes of an address. */
function addressOctets(address: string): Uint8Array {
  if (isIP(address) === 4) return Uint8Array.from(address.split(".").map(Number));
  // The URL parser normalizes all forms of it except the run of zeros.
  const whole = new URL(`http://[${address}]/`).hostname.slice(1, -1);
  const [left = "", right] = whole.split("::");
  const groups = (half: string): string[] => (half === "" ? [] : half.split(":"));
  const after = groups(right ?? "");
  const before = groups(left);
  const zeros = new Array<string>(8 - before.length - after.length).fill("0");
  const numbers = [...before, ...zeros, ...after].map((group) => Number.parseInt(group, 16));
  return Uint8Array.from(numbers.flatMap((number) => [number >> 8, number & 0xff]));
}
