/** The TLS options in Bun's form, and the verification after Bun's handshake. */
import type { TlsInfo, TlsOptions } from "../../src/byte-stream.ts";
import { makeTlsError, tlsError } from "./errors.ts";
import {
  type CheckedTlsOptions,
  checkTlsOptions,
  normalFingerprint,
  refuseTls13Ciphers,
  shownFingerprint,
} from "./options.ts";
import { resumption } from "./sessions.ts";

/** The used parts of the option `tls` of `upgradeTLS`. */
export type BunTlsOptions = {
  serverName: string;
  rejectUnauthorized: boolean;
  secureOptions: number;
  ca?: string[];
  cert?: string;
  key?: string;
  ciphers?: string;
  ecdhCurve?: string;
};

/** The session of a TLS socket of Bun. */
export type BunTlsSession = {
  readonly authorized: boolean;
  getTLSVersion(): string;
  getCipher(): { name: string; standardName?: string } | null;
  getEphemeralKeyInfo?(): { name?: string | undefined } | null;
  getPeerX509Certificate(): BunCertificate | undefined;
  exportKeyingMaterial(length: number, label: string, context: Uint8Array): Uint8Array;
  /** Sets the session to resume; must be called in `open`, before the handshake. */
  setSession(ticket: Uint8Array): void;
};

/** The handlers of the TLS socket: it calls `session` for each ticket that the server issues. */
type Handlers<Socket> = {
  open(socket: Socket): void;
  session?(socket: Socket, ticket: Uint8Array): void;
};

type BunCertificate = {
  readonly fingerprint256: string;
  readonly raw: Uint8Array;
  checkIP(address: string): string | undefined;
};

/** The error of the callback `handshake`: a protocol error, or the result of the verification. */
export type BunTlsFault = Error & { code?: string };

/** The result of a handshake. */
export type BunHandshake = { session: BunTlsSession; success: boolean; error: BunTlsFault | null };

/**
 * Lets `upgrade` do a handshake, and verifies the result. `handlers` are the socket's.
 *
 * @throws TlsError if the connection is lost, or the server fails the verification
 * @throws TypeError for invalid options, or an unusable certificate or key
 */
export async function secure<Socket extends BunTlsSession, Calls extends Handlers<Socket>>(
  asked: TlsOptions & { servername: string },
  handlers: Calls,
  upgrade: (asked: { tls: BunTlsOptions; socket: Calls }) => Promise<BunHandshake>,
): Promise<TlsInfo> {
  const options = checkTlsOptions(asked);
  refuseTls13Ciphers(options);
  const { session, issued, verified, failed } = resumption(options, trustOf(options));
  const socket: Calls = {
    ...handlers,
    open(opened) {
      if (session !== undefined) opened.setSession(session.ticket);
      handlers.open(opened);
    },
    session: (_, ticket) => issued(ticket),
  };
  let handshake: Promise<BunHandshake>;
  try {
    handshake = upgrade({ tls: bunTlsOptions(options), socket });
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new TypeError(`the TLS options ca, cert, key, ciphers or groups cannot be used: ${reason}`, { cause });
  }
  try {
    const info = verify(await handshake, options);
    verified(info);
    return info;
  } catch (error) {
    failed();
    throw tlsError(error, options);
  }
}

/** A connection with a certificate of its own is not resumed: its key would have to be part of this text. */
function trustOf({ ca, cert, minVersion, ciphers, groups }: CheckedTlsOptions): string | undefined {
  return cert === undefined ? JSON.stringify([minVersion, ciphers, groups, ca]) : undefined;
}

/**
 * The options for `upgradeTLS`.
 *
 * Bun sends an address as SNI, and verifies only the host connected to. For an address it therefore gets no name: it
 * verifies the chain, and `verify` compares the address. `rejectUnauthorized` is always set, since Bun's default
 * depends on the environment.
 */
function bunTlsOptions(options: CheckedTlsOptions): BunTlsOptions {
  const { servername, isAddress, rejectUnauthorized, ca, cert, key, minVersion, ciphers, groups } = options;
  return {
    serverName: isAddress ? "" : servername,
    rejectUnauthorized: rejectUnauthorized && !isAddress,
    secureOptions: minVersion === "TLSv1.3" ? noTls1 | noTls1_1 | noTls1_2 : noTls1 | noTls1_1,
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
    ...(ciphers === undefined ? {} : { ciphers }),
    ...(groups === undefined ? {} : { ecdhCurve: groups }),
  };
}

/** `SSL_OP_NO_TLSv1`, `SSL_OP_NO_TLSv1_1` and `SSL_OP_NO_TLSv1_2`, the same in OpenSSL and BoringSSL. */
const noTls1 = 0x04000000;
const noTls1_1 = 0x10000000;
const noTls1_2 = 0x08000000;

/**
 * Verifies a handshake by the arguments of the callback `handshake`.
 *
 * @throws TlsError if there is no session, or the server fails the verification
 */
function verify({ session, success, error: fault }: BunHandshake, options: CheckedTlsOptions): TlsInfo {
  if (fault !== null && !isVerdict(fault)) throw tlsError(fault, options);
  const certificate = session.getPeerX509Certificate();
  if (certificate === undefined) throw tlsError(new Error("the server has no certificate"), options);

  const refusal = refusalOf(certificate, success && session.authorized, fault, options);
  if (refusal !== undefined && options.rejectUnauthorized) throw tlsError(refusal, options);
  const pinned = options.pins?.includes(normalFingerprint(certificate.fingerprint256));
  if (pinned === false) throw makeTlsError("fingerprint", options);

  const cipher = session.getCipher();
  return {
    protocol: session.getTLSVersion(),
    cipher: cipher?.standardName ?? cipher?.name,
    verified: pinned === true || refusal === undefined,
    fingerprint256: shownFingerprint(certificate.fingerprint256),
    group: session.getEphemeralKeyInfo?.()?.name,
    certificate: certificate.raw,
    verificationError: refusal === undefined ? undefined : tlsError(refusal, options),
    // RFC 9266 4.2 gives channel binding an empty context; under TLS 1.2 that is not the same as none.
    exporter: (label, length) => session.exportKeyingMaterial(length, label, new Uint8Array(0)),
  };
}

/** Verification errors have OpenSSL's codes (`CERT_HAS_EXPIRED`), protocol errors those of the system (`EPROTO`). */
function isVerdict({ code = "EPROTO" }: BunTlsFault): boolean {
  return code === wrongName || !/^E[A-Z]+$/.test(code);
}

/** Bun reports a wrong name only if the chain is valid. */
const wrongName = "ERR_TLS_CERT_ALTNAME_INVALID";

function refusalOf(
  certificate: BunCertificate,
  authorized: boolean,
  fault: BunTlsFault | null,
  { servername, isAddress }: CheckedTlsOptions,
): Error | undefined {
  if (!isAddress || (fault !== null && fault.code !== wrongName)) {
    return fault ?? (authorized ? undefined : new Error("the certificate was not verified"));
  }
  if (certificate.checkIP(servername) !== undefined) return undefined;
  return Object.assign(new Error(`${servername} is not among the addresses of the certificate`), { code: wrongName });
}
