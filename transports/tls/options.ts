/** Checks `TlsOptions` before a byte is sent, and normalizes them for the transports. */
import type { TlsOptions } from "../../src/byte-stream.ts";

/** `TlsOptions`, checked and complete. */
export type CheckedTlsOptions = {
  /** The name or address that the certificate must have: ASCII, without a final dot. */
  servername: string;
  /** Whether `servername` is an IP address: verified as one, and not sent as SNI (RFC 6066 3). */
  isAddress: boolean;
  /** The authorities in PEM, one for each element; undefined: the runtime's own. */
  ca: string[] | undefined;
  cert: string | undefined;
  key: string | undefined;
  rejectUnauthorized: boolean;
  /** Lower-case hexadecimal without colons; undefined if nothing is pinned. */
  pins: string[] | undefined;
  minVersion: "TLSv1.2" | "TLSv1.3";
  ciphers: string | undefined;
  groups: string | undefined;
};

/**
 * Checks the options of `startTls`.
 *
 * @throws TypeError for an invalid one, since it must not weaken the verification silently.
 */
export function checkTlsOptions(options: TlsOptions & { servername: string }): CheckedTlsOptions {
  const { cert, key, rejectUnauthorized = true, minVersion = "TLSv1.2" } = options;
  if (typeof options.servername !== "string" || options.servername === "") {
    throw new TypeError("servername must be the name or the address that the certificate has to bear");
  }
  if ((cert === undefined) !== (key === undefined)) throw new TypeError("cert and key go together: one is missing");
  if (typeof rejectUnauthorized !== "boolean") throw new TypeError("rejectUnauthorized must be true or false");
  if (minVersion !== "TLSv1.2" && minVersion !== "TLSv1.3") {
    throw new TypeError('minVersion must be "TLSv1.2" or "TLSv1.3"');
  }
  checkList(options.ciphers, "ciphers");
  checkList(options.groups, "groups");
  const servername = asciiName(options.servername, "servername").replace(/\.$/, "");
  return {
    servername,
    isAddress: isAddress(servername),
    ca: authorities(options.ca),
    cert,
    key,
    rejectUnauthorized,
    pins: pins(options.fingerprint256),
    minVersion,
    ciphers: options.ciphers,
    groups: options.groups,
  };
}

/**
 * Refuses ciphers and groups for a runtime that would ignore them.
 *
 * @throws TypeError if they are set
 */
export function refuseCipherOptions(runtime: string, { ciphers, groups }: CheckedTlsOptions): void {
  const asked = Object.entries({ ciphers, groups }).flatMap(([name, value]) => (value === undefined ? [] : [name]));
  if (asked.length > 0) throw new TypeError(`the TLS of ${runtime} cannot set ${asked.join(" and ")}`);
}

/**
 * Refuses ciphers that Bun's TLS, which is BoringSSL's, would ignore.
 *
 * @throws TypeError if one of them is of TLS 1.3
 */
export function refuseTls13Ciphers({ ciphers }: CheckedTlsOptions): void {
  if (ciphers === undefined || !/TLS_/.test(ciphers)) return;
  throw new TypeError(`the TLS of Bun cannot set ciphers of TLS 1.3: ${JSON.stringify(ciphers)}`);
}

/** Whether a text is an IPv4 or IPv6 address, as opposed to a name. */
export function isAddress(text: string): boolean {
  return /^\d{1,3}(\.\d{1,3}){3}$/.test(text) || text.includes(":");
}

/** A fingerprint for comparison: lower-case hexadecimal without colons. */
export function normalFingerprint(fingerprint: string): string {
  return fingerprint.replaceAll(":", "").toLowerCase();
}

/** A fingerprint for `TlsInfo`: upper-case hexadecimal with colons. */
export function shownFingerprint(fingerprint: string): string {
  return normalFingerprint(fingerprint)
    .toUpperCase()
    .replace(/(..)(?!$)/g, "$1:");
}

function checkList(value: unknown, name: string): void {
  if (value === undefined || (typeof value === "string" && value !== "")) return;
  throw new TypeError(`${name} must be a list of names, as OpenSSL has them`);
}

function authorities(ca: string | string[] | undefined): string[] | undefined {
  if (ca === undefined) return undefined;
  const texts = typeof ca === "string" ? [ca] : ca;
  const found = texts.flatMap((text) => {
    const certificates = text.match(/-----BEGIN ([A-Z0-9 ]*CERTIFICATE)-----[^-]+-----END \1-----/g);
    if (certificates === null) throw new TypeError("ca must be certificates in PEM, not the name of a file");
    return certificates;
  });
  if (found.length === 0) throw new TypeError("ca is empty: leave it out for the runtime's own authorities");
  return found;
}

function pins(fingerprints: string | string[] | undefined): string[] | undefined {
  if (fingerprints === undefined) return undefined;
  const found = (typeof fingerprints === "string" ? [fingerprints] : fingerprints).map(normalFingerprint);
  const valid = found.length > 0 && found.every((pin) => /^[0-9a-f]{64}$/.test(pin));
  if (!valid)
    throw new TypeError("fingerprint256 must be SHA-256 fingerprints: 64 hexadecimal digits, colons optional");
  return found;
}

/**
 * A host name for resolvers and TLS: a name that is not ASCII as A-labels (UTS 46).
 *
 * @throws TypeError if it has no such form
 */
export function asciiName(name: string, argument: string): string {
  if (/^[\x00-\x7f]*$/.test(name)) return name;
  const url = `http://${name}/`;
  if (!/[\x00-\x20/:?#@\\[\]]/.test(name) && URL.canParse(url)) return new URL(url).hostname;
  throw new TypeError(`${argument} is neither ASCII nor the name of a host: ${JSON.stringify(name)}`);
}
