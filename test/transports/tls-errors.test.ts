/** The texts of OpenSSL, BoringSSL and rustls for failed handshakes, and the kinds of failure that they indicate. */
import { describe, expect, it } from "vitest";
import type { TlsFailure } from "../../src/errors.ts";
import { tlsError } from "../../transports/tls/errors.ts";

type Said = { code?: string; message: string };

const openssl = (code: string, reason: string): Said => ({
  code,
  message: `802C072BE97F0000:error:0A00018A:SSL routines:tls_process:${reason}:../deps/openssl/ssl/statem.c:1601:`,
});
const boringssl = (reason: string): Said => ({
  code: "EPROTO",
  message: `error:10000410:SSL routines:OPENSSL_internal:${reason}`,
});
const rustls = (message: string): Said => ({ message });

/** An error of Deno's `node:tls`, whose code is nearly always the same. */
const layered = (message: string): Said => ({ code: "ERR_SSL_SSLV3_ALERT_HANDSHAKE_FAILURE", message });

const known: [TlsFailure, Said][] = [
  ["weak-key", openssl("ERR_SSL_DH_KEY_TOO_SMALL", "dh key too small")],
  ["weak-key", openssl("ERR_SSL_EE_KEY_TOO_SMALL", "ee key too small")],
  ["weak-key", openssl("ERR_SSL_CA_KEY_TOO_SMALL", "ca key too small")],
  ["weak-key", openssl("ERR_SSL_CA_MD_TOO_WEAK", "ca md too weak")],
  ["weak-key", { code: "UNSPECIFIED", message: "EE certificate key too weak" }],
  ["weak-key", { code: "UNSPECIFIED", message: "CA certificate key too weak" }],
  ["weak-key", { code: "UNSPECIFIED", message: "CA signature digest algorithm too weak" }],
  [
    "weak-key",
    rustls("invalid peer certificate: UnsupportedSignatureAlgorithmContext { signature_algorithm_id: [6] }"),
  ],
  ["no-shared-cipher", openssl("ERR_SSL_SSLV3_ALERT_HANDSHAKE_FAILURE", "sslv3 alert handshake failure")],
  ["no-shared-cipher", openssl("ERR_SSL_SSL/TLS_ALERT_HANDSHAKE_FAILURE", "ssl/tls alert handshake failure")],
  ["no-shared-cipher", openssl("ERR_SSL_TLSV1_ALERT_INSUFFICIENT_SECURITY", "tlsv1 alert insufficient security")],
  ["no-shared-cipher", openssl("ERR_SSL_NO_SHARED_CIPHER", "no shared cipher")],
  ["no-shared-cipher", openssl("ERR_SSL_NO_CIPHERS_AVAILABLE", "no ciphers available")],
  ["no-shared-cipher", openssl("ERR_SSL_WRONG_CIPHER_RETURNED", "wrong cipher returned")],
  ["no-shared-cipher", boringssl("SSLV3_ALERT_HANDSHAKE_FAILURE")],
  ["no-shared-cipher", boringssl("NO_COMMON_SIGNATURE_ALGORITHMS")],
  ["no-shared-cipher", rustls("received fatal alert: HandshakeFailure")],
  ["no-shared-cipher", rustls("received fatal alert: InsufficientSecurity")],
  ["no-shared-cipher", rustls("peer is incompatible: NoCipherSuitesInCommon")],
  ["version", rustls("peer is incompatible: ServerDoesNotSupportTls12Or13")],
  ["no-shared-cipher", layered("received fatal alert: HandshakeFailure")],
  ["version", layered("peer is incompatible: ServerTlsVersionIsDisabledByOurConfig")],
  ["version", openssl("ERR_SSL_NO_PROTOCOLS_AVAILABLE", "no protocols available")],
  ["version", openssl("ERR_SSL_UNSUPPORTED_PROTOCOL", "unsupported protocol")],
  ["version", openssl("ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION", "tlsv1 alert protocol version")],
  ["version", boringssl("TLSV1_ALERT_PROTOCOL_VERSION")],
  ["not-tls", openssl("ERR_SSL_WRONG_VERSION_NUMBER", "wrong version number")],
];

const passing: [TlsFailure, Said][] = [
  ["closed", { code: "ECONNRESET", message: "read ECONNRESET" }],
  ["handshake", layered("received fatal alert: InternalError")],
  ["handshake", openssl("ERR_SSL_TLSV1_ALERT_INTERNAL_ERROR", "tlsv1 alert internal error")],
];

describe("what a TLS library says", () => {
  it.each(known)("is %s, for good: %j", (failure, said) => {
    expect(errorOf(said)).toMatchObject({ failure, permanent: true });
  });

  it.each(passing)("is %s, for now: %j", (failure, said) => {
    expect(errorOf(said)).toMatchObject({ failure, permanent: false });
  });

  it("is shown with the options that mend it", () => {
    expect(errorOf({ message: "dh key too small" }).message).toMatch(/ciphers.*\(dh key too small\)/s);
    expect(errorOf({ message: "no shared cipher" }).message).toMatch(/ciphers and groups.*cert and key/s);
    expect(errorOf({ message: "unsupported protocol" }, "TLSv1.3").message).toContain("minVersion");
  });
});

function errorOf({ code, message }: Said, minVersion = "TLSv1.2") {
  const error = Object.assign(new Error(message), code === undefined ? {} : { code });
  return tlsError(error, { servername: "localhost", minVersion });
}
