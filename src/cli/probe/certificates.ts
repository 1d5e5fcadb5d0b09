/** Describes certificates for the report, and finds the faults of a chain. */
import { X509Certificate } from "node:crypto";
import { isIPv6 } from "node:net";
import type { TlsError } from "../../index.ts";
import type { CertificateReport, Finding } from "./report.ts";

const DAY = 24 * 60 * 60 * 1000;

/** Days before the end at which a certificate should have been renewed. */
const SOON = 14;

/** The certificates of a chain in DER, described. */
export function describeChain(chain: readonly Uint8Array[], now: number): CertificateReport[] {
  return chain.map((der) => describe(new X509Certificate(der), now));
}

/**
 * The faults of a chain.
 * @param refusal - the reason why a client refuses it; undefined if it does not
 * @param name - the name that must match
 */
export function certificateFindings(
  chain: readonly CertificateReport[],
  refusal: TlsError | undefined,
  name: string,
): Finding[] {
  const [own] = chain;
  if (own === undefined) return refusal === undefined ? [] : [finding("certificate-refused", refusal.message)];
  const findings = [...dateFindings(own), ...nameFindings(own, refusal, name), ...issuerFindings(chain, refusal)];
  const explained = findings.some(({ severity }) => severity === "error");
  if (refusal !== undefined && !explained) findings.push(finding("certificate-refused", refusal.message));
  return findings;
}

function dateFindings({ daysLeft, validFrom, validUntil }: CertificateReport): Finding[] {
  if (Date.parse(validUntil) < Date.now()) {
    const text = `the certificate expired ${days(-daysLeft)} ago, on ${day(validUntil)}`;
    return [finding("certificate-expired", text, "have it renewed at the server")];
  }
  if (Date.parse(validFrom) > Date.now()) {
    const text = `the certificate is valid only from ${day(validFrom)} on`;
    return [finding("certificate-not-yet-valid", text, "check the clocks of both sides")];
  }
  if (daysLeft >= SOON) return [];
  const text = `the certificate expires in ${days(daysLeft)}, on ${day(validUntil)}`;
  return [{ ...finding("certificate-expires-soon", text, "have it renewed at the server"), severity: "warning" }];
}

function nameFindings({ names }: CertificateReport, refusal: TlsError | undefined, name: string): Finding[] {
  const bears = names.some((one) => matches(one, name));
  if (refusal === undefined || (refusal.failure !== "name" && bears)) return [];
  const list = names.length === 0 ? "no name at all" : names.join(", ");
  const [other] = names;
  const fix =
    other === undefined
      ? undefined
      : `connect to ${other.replace(/^\*\./, "a name under ")}, or: --servername ${other}`;
  return [finding("certificate-name", `the certificate is for ${list}, not for ${name}`, fix)];
}

function issuerFindings(chain: readonly CertificateReport[], refusal: TlsError | undefined): Finding[] {
  const [own] = chain;
  const last = chain.at(-1);
  if (refusal?.failure !== "issuer" || own === undefined || last === undefined) return [];
  if (own.subject === own.issuer) {
    const fix = `trust this very certificate: --fingerprint ${own.fingerprint256} --insecure`;
    return [finding("certificate-self-signed", "the certificate is signed by itself and by no authority", fix)];
  }
  if (chain.length === 1) {
    const text = `the server sends its own certificate alone, and "${own.issuer}", which issued it, is not trusted here`;
    const fix = "have the server send the whole chain (fullchain.pem); if the issuer is a private authority: --ca FILE";
    return [finding("certificate-chain-incomplete", text, fix)];
  }
  const text = `the chain ends at "${last.issuer}", which is not trusted here`;
  return [finding("certificate-issuer-unknown", text, "trust that authority: --ca FILE")];
}

function finding(code: string, text: string, fix?: string): Finding {
  return { code, severity: "error", text, ...(fix === undefined ? {} : { fix }) };
}

function describe(certificate: X509Certificate, now: number): CertificateReport {
  const until = Date.parse(certificate.validTo);
  return {
    subject: shortName(certificate.subject),
    issuer: shortName(certificate.issuer),
    names: namesOf(certificate.subjectAltName),
    validFrom: new Date(certificate.validFrom).toISOString(),
    validUntil: new Date(until).toISOString(),
    daysLeft: Math.trunc((until - now) / DAY) || 0,
    key: keyOf(certificate),
    fingerprint256: certificate.fingerprint256,
  };
}

/** Turns "CN=a\nO=b" into "a"; without a common name, puts all of it into one line. */
function shortName(name: string | undefined): string {
  const parts = (name ?? "").split("\n");
  const common = parts.find((part) => part.startsWith("CN="));
  // The runtime escapes commas and other characters as in RFC 2253.
  return (common?.slice(3) ?? parts.join(", ")).replace(/\\([^\da-f])/gi, "$1");
}

/** "DNS:a, IP Address:b" as names. */
function namesOf(text: string | undefined): string[] {
  return Array.from((text ?? "").matchAll(/(?:DNS|IP Address):("[^"]*"|[^,\s]+)/g), ([, name = ""]) => name);
}

function keyOf({ publicKey }: X509Certificate): string {
  const { asymmetricKeyType: type = "", asymmetricKeyDetails: details } = publicKey;
  const size = details?.modulusLength ?? details?.namedCurve ?? "";
  return `${type.toUpperCase()} ${size}`.trim();
}

/** Whether a name of a certificate covers a host (RFC 9525 6.3). */
function matches(pattern: string, host: string): boolean {
  const [name, wanted] = [canonical(pattern), canonical(host)];
  if (!name.startsWith("*.")) return name === wanted;
  return wanted.slice(wanted.indexOf(".")) === name.slice(1);
}

/** A name in lower case; an IPv6 address in its shortest form. */
function canonical(name: string): string {
  return isIPv6(name) ? new URL(`http://[${name.replace(/%.*$/, "")}]/`).hostname : name.toLowerCase();
}

function days(count: number): string {
  if (count === 0) return "less than a day";
  return count === 1 ? "1 day" : `${count} days`;
}

function day(iso: string): string {
  return iso.slice(0, 10);
}
