/** TLS options as Bun takes them, and the checks that follow Bun's handshake. */
import type { TlsInfo, TlsOptions } from "../src/byte-stream.ts";
import { makeTlsError, tlsError } from "./tls-errors.ts";
import {
  type CheckedTlsOptions,
  checkTlsOptions,
  normalFingerprint,
  refuseTls13Ciphers,
  shownFingerprint,
} from "./tls-options.ts";
import { resumption } from "./tls-sessions.ts";

/** The option `tls` of `upgradeTLS`, as far as it is used. */
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

/** What a TLS socket of Bun's tells of its session. */
export type BunTlsSession = {
  readonly authorized: boolean;
  getTLSVersion(): string;
  getCipher(): { name: string; standardName?: string } | null;
  getEphemeralKeyInfo?(): { name?: string } | null;
  getPeerX509Certificate(): BunCertificate | undefined;
  exportKeyingMaterial(length: number, label: string, context: Uint8Array): Uint8Array;
  /** The session to resume: to be given in `open`, which comes before the handshake. */
  setSession(ticket: Uint8Array): void;
};

/** What the TLS socket is to call besides: `session` is for each ticket that the server issues. */
type Handlers<Socket> = {
  open(socket: Socket): void;
  session?(socket: Socket, ticket: Uint8Array): void;
};

type BunCertificate = {
  readonly fingerprint256: string;
  readonly raw: Uint8Array;
  checkIP(address: string): string | undefined;
};

/** What the callback `handshake` is given: a fault of the protocol, or the verdict on the certificate. */
export type BunTlsFault = Error & { code?: string };

/** What Bun tells when a handshake is over. */
export type BunHandshake = { session: BunTlsSession; success: boolean; error: BunTlsFault | null };

/**
 * Has `upgrade` do a handshake, and judges it. `handlers` are the socket's.
 *
 * @throws TlsError where the connection is lost, or the server not the one asked for.
 * @throws TypeError for options that cannot be meant, or a certificate or key that cannot be used.
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
 * Bun would send an address as SNI and verify none but the host connected to. So it is given no name for an address,
 * the chain is left to it, and `verify` compares the address. `rejectUnauthorized` is always said, as Bun's own
 * default hangs on the environment.
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
 * Judges a handshake by what the callback `handshake` was given.
 *
 * @throws TlsError where there is no session, or not with the server asked for.
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

/** Verdicts bear OpenSSL's names for them, `CERT_HAS_EXPIRED`; faults of the protocol those of the system, `EPROTO`. */
function isVerdict({ code = "EPROTO" }: BunTlsFault): boolean {
  return code === wrongName || !/^E[A-Z]+$/.test(code);
}

/** Bun names a wrong name only where it finds nothing wrong with the chain. */
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
