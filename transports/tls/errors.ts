/** Turns the runtimes' errors of a failed handshake into a `TlsError` that explains the failure and how to fix it. */
import { TlsError, type TlsFailure } from "../../src/errors.ts";

/** The requested name and options, for the message. */
export type TlsAttempt = { servername: string; minVersion: string };

/**
 * The `TlsError` for an error of OpenSSL (Node), BoringSSL (Bun) or rustls (Deno); a `TlsError` is returned unchanged.
 * Undefined stands for a connection that ended without an error.
 */
export function tlsError(error: unknown, attempt: TlsAttempt): TlsError {
  if (error instanceof TlsError) return error;
  const failure = error === undefined ? "closed" : failureOf(error);
  return makeTlsError(failure, attempt, error);
}

/** Makes a `TlsError` of a kind. */
export function makeTlsError(failure: TlsFailure, attempt: TlsAttempt, cause?: unknown): TlsError {
  const detail = cause === undefined ? "" : ` (${detailOf(cause)})`;
  return new TlsError(failure, messages[failure](attempt) + detail, cause === undefined ? {} : { cause });
}

/** The `TlsError` for first bytes of a server that are not an answer to a handshake. */
export function notTls(bytes: Uint8Array, attempt: TlsAttempt): TlsError {
  const said = new TextDecoder("latin1").decode(bytes.subarray(0, 80));
  return makeTlsError("not-tls", attempt, new Error(`it said "${said.trimEnd()}"`));
}

const messages: Record<TlsFailure, (attempt: TlsAttempt) => string> = {
  name: ({ servername }) =>
    `the server's certificate is not for "${servername}"; if it is the right server, set the option servername to a name that the certificate bears`,
  issuer: () =>
    "the server's certificate is of an authority that is not trusted; give that authority in the option ca, or the certificate's own fingerprint in fingerprint256 with rejectUnauthorized: false",
  expired: () => "the server's certificate has expired or is not valid yet; check the clock, or have it renewed",
  fingerprint: () => "the server's certificate has none of the fingerprints in the option fingerprint256",
  certificate: () => "the server's certificate was refused",
  "weak-key": () =>
    'the server\'s key or signature is weaker than this runtime allows; it should be renewed there, and until then the option ciphers can do without Diffie-Hellman where the transport can set it (Node, Bun: "DEFAULT:!DHE"), or lower the security level (Node: "DEFAULT@SECLEVEL=0")',
  "no-shared-cipher": () =>
    "the server and we have no cipher, group or signature algorithm in common, or it asks for a client certificate; the options ciphers and groups set what is offered where the transport can set them (Node, Bun), cert and key the certificate",
  version: ({ minVersion }) =>
    minVersion === "TLSv1.3"
      ? "the server and we have no protocol version in common; the option minVersion asks for TLSv1.3"
      : "the server and we have no protocol version in common; it does not speak TLSv1.2 or newer",
  "not-tls": () => "the server does not speak TLS here: its answer is plain text",
  closed: () => "the connection was lost during the TLS handshake",
  handshake: () => "the TLS handshake failed",
};

/** In order: the first pattern that fits an error's code or message decides. */
const patterns: [RegExp, TlsFailure][] = [
  [/ERR_TLS_CERT_ALTNAME_INVALID|HOSTNAME_MISMATCH|IP_ADDRESS_MISMATCH|not ?valid ?for ?name|altnames/i, "name"],
  [
    /CERT_HAS_EXPIRED|CERT_NOT_YET_VALID|certificate (has )?expired|not (yet )?valid (yet|until)|NotValidYet/i,
    "expired",
  ],
  [/peer certificate: Expired/i, "expired"],
  [/SELF_SIGNED_CERT|UNABLE_TO_GET_ISSUER_CERT|UNABLE_TO_VERIFY_LEAF_SIGNATURE|CERT_UNTRUSTED/, "issuer"],
  [
    /unknown ?issuer|self.signed certificate|unable to (get local issuer|verify the first)|CaUsedAsEndEntity/i,
    "issuer",
  ],
  [/key too (weak|small)|(md|digest algorithm) too weak|_TOO_WEAK|_TOO_SMALL|LEGACY_SIGALG_DISALLOWED/i, "weak-key"],
  [/UnsupportedSignatureAlgorithm|BAD_DH_P_LENGTH/, "weak-key"],
  [
    /alert[ _:]*handshake[ _]?failure|alert[ _:]*insufficient[ _]?security|peer is incompatible: No/i,
    "no-shared-cipher",
  ],
  [/NO_(SHARED_CIPHER|SHARED_GROUP|CIPHERS_AVAILABLE|CIPHER_MATCH|COMMON_\w+|SUITABLE_\w+)/, "no-shared-cipher"],
  [/(WRONG|UNKNOWN)_CIPHER_RETURNED|WRONG_CURVE|WRONG_SIGNATURE_TYPE|no (shared|suitable) /i, "no-shared-cipher"],
  [
    /PROTOCOL_VERSION|UNSUPPORTED_PROTOCOL|NO_PROTOCOLS_AVAILABLE|received fatal alert: ProtocolVersion|peer is incompatible/i,
    "version",
  ],
  [/UNSUPPORTED_SSL_VERSION|unsupported protocol|NO_SUPPORTED_VERSIONS|protocol version/i, "version"],
  [/WRONG_VERSION_NUMBER|wrong version number|HTTP_REQUEST|HTTPS_PROXY_REQUEST|PACKET_LENGTH_TOO_LONG/i, "not-tls"],
  [/InvalidContentType|corrupt message|BAD_RECORD_TYPE|UNEXPECTED_MESSAGE.*plain/i, "not-tls"],
  [/CERT_REVOKED|INVALID_PURPOSE|CERT_SIGNATURE_FAILURE|INVALID_CA|PATH_LENGTH_EXCEEDED|CERT_REJECTED/, "certificate"],
  [/CERT_CHAIN_TOO_LONG|invalid peer certificate|ERROR_IN_CERT|CERTIFICATE_VERIFY_FAILED/i, "certificate"],
  [/ECONNRESET|EPIPE|ECONNABORTED|ENOTCONN|ERR_STREAM_PREMATURE_CLOSE|ERR_SOCKET_CLOSED/, "closed"],
  [/UnexpectedEof|unexpected end|eof|connection reset|broken pipe|socket disconnected|closed/i, "closed"],
];

/**
 * Deno's `node:tls` gives this code to most failures, whatever the error of rustls; Node and Bun also have it in the
 * message.
 */
const usualCode = "ERR_SSL_SSLV3_ALERT_HANDSHAKE_FAILURE";

function failureOf(error: unknown): TlsFailure {
  const code = codeOf(error);
  const text = code === usualCode ? messageOf(error) : `${code} ${messageOf(error)}`;
  return patterns.find(([pattern]) => pattern.test(text))?.[1] ?? "handshake";
}

function detailOf(error: unknown): string {
  const code = codeOf(error);
  const message = messageOf(error);
  return code === "" || message.includes(code) ? message : `${code}: ${message}`;
}

function codeOf(error: unknown): string {
  const code = typeof error === "object" && error !== null && "code" in error ? error.code : undefined;
  return typeof code === "string" ? code : "";
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
