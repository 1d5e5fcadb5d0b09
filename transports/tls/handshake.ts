/** A client's TLS handshake by `node:tls`, over a socket or any `Duplex`, and the checks that follow it. */
import type { TlsInfo, TlsOptions } from "../../src/byte-stream.ts";
import { builtin, type NodeDuplex, type NodeTlsSocket, type PeerCertificate, runtime } from "../node-builtins.ts";
import { noop } from "../util.ts";
import { makeTlsError, notTls, tlsError } from "./errors.ts";
import {
  type CheckedTlsOptions,
  checkTlsOptions,
  normalFingerprint,
  refuseCipherOptions,
  refuseTls13Ciphers,
  shownFingerprint,
} from "./options.ts";
import { remember, resumption, type TlsSession } from "./sessions.ts";

/** A handshake in progress. */
export type Handshake = {
  /** The socket that will carry the session; nothing may be written to it before `done`. */
  socket: NodeTlsSocket;
  /** Resolves when the server is verified; rejects with a `TlsError`, and the socket is destroyed then. */
  done: Promise<TlsInfo>;
};

/**
 * Starts a handshake over `below`, which it resumes if it is paused.
 *
 * @throws TypeError for invalid options, or an unusable certificate or key.
 * @throws TlsError if the peer has already ended `below` or sent bytes.
 */
export function beginHandshake(below: NodeDuplex, asked: TlsOptions & { servername: string }): Handshake {
  const options = checkTlsOptions(asked);
  if (below.readableEnded || below.destroyed) throw makeTlsError("closed", options);
  // Bytes before the handshake cannot answer it; and Bun's node:tls would not see those already in a socket.
  const early = below.read();
  if (early !== null) throw isTlsRecord(early) ? makeTlsError("handshake", options) : notTls(early, options);
  const tls = builtin("node:tls");
  const { servername, isAddress, rejectUnauthorized } = options;
  const onNode = runtime() === "node";
  if (runtime() === "deno") refuseCipherOptions("Deno", options);
  if (runtime() === "bun") refuseTls13Ciphers(options);
  if (!onNode) checkPair(options);
  const context = runtime() === "bun" ? undefined : contextOf(options);
  const { session, issued, verified, failed } = resumption(options, onNode ? context?.id : undefined);
  let identity: Identity | undefined;

  let socket: NodeTlsSocket;
  try {
    socket = tls.connect({
      socket: below,
      host: servername,
      ...(isAddress ? {} : { servername }),
      ...(session === undefined ? {} : { session: session.ticket }),
      ...(context === undefined ? secretsOf(options) : { secureContext: context.context }),
      rejectUnauthorized,
      checkServerIdentity: (_host, certificate) => {
        identity = { certificate, error: nameFault(servername, certificate) };
        return identity.error;
      },
    });
  } catch (error) {
    throw unusable(error);
  }
  socket.on("error", noop);
  if (onNode) socket.on("session", issued);
  const judge = () => verify(socket, options, { session, identity });
  const done = untilSecure(socket, options, judge).then(
    (info) => {
      verified(info);
      return info;
    },
    (error) => {
      failed();
      socket.destroy();
      throw error;
    },
  );
  return { socket, done };
}

/** Whether these can be the first bytes of TLS: the content types of RFC 8446 5.1. */
export function isTlsRecord(chunk: Uint8Array): boolean {
  const [type] = chunk;
  return type === undefined || (type >= 20 && type <= 23);
}

function untilSecure(socket: NodeTlsSocket, options: CheckedTlsOptions, judge: () => TlsInfo): Promise<TlsInfo> {
  return new Promise((resolve, reject) => {
    const secure = () => {
      settle();
      try {
        resolve(judge());
      } catch (error) {
        reject(error);
      }
    };
    const failed = (error: unknown) => {
      settle();
      reject(tlsError(error, options));
    };
    const ended = () => failed(undefined);
    const settle = () => {
      socket.off("secureConnect", secure);
      socket.off("error", failed);
      socket.off("end", ended);
      socket.off("close", ended);
    };
    socket.on("secureConnect", secure);
    socket.on("error", failed);
    socket.on("end", ended);
    socket.on("close", ended);
  });
}

/** The certificate that the runtime checked for the name, and the error of that check. */
type Identity = { readonly certificate: PeerCertificate; readonly error: Error | undefined };

/** Checks that the runtime has verified chain and name, and compares the pins. */
function verify(
  socket: NodeTlsSocket,
  options: CheckedTlsOptions,
  { session, identity }: { session: TlsSession | undefined; identity: Identity | undefined },
): TlsInfo {
  const { pins, rejectUnauthorized, servername } = options;
  // A resumed session has no certificate; that of its server was verified under the same options, see `resumption`.
  const resumed = session !== undefined && socket.isSessionReused?.() === true ? session : undefined;
  const certificate = resumed === undefined ? (identity?.certificate ?? socket.getPeerCertificate()) : {};
  const fingerprint = resumed === undefined ? fingerprintOf(certificate) : resumed.fingerprint256;
  const known = resumed === undefined ? (identity ?? { certificate }) : { error: undefined };
  const refusal = refusalOf(socket, servername, known);
  if (rejectUnauthorized && refusal !== undefined) throw tlsError(refusal, options);
  const pinned = pins !== undefined && fingerprint !== undefined && pins.includes(normalFingerprint(fingerprint));
  if (pins !== undefined && !pinned) throw makeTlsError("fingerprint", options);

  const cipher = socket.getCipher();
  return {
    protocol: socket.getProtocol() ?? undefined,
    cipher: cipher?.standardName ?? cipher?.name,
    // Deno reports `authorized` even if it verified nothing.
    verified: pinned || rejectUnauthorized,
    fingerprint256: fingerprint,
    group: socket.getEphemeralKeyInfo?.()?.name,
    certificate: resumed === undefined ? certificate.raw : resumed.certificate,
    get chain() {
      return resumed === undefined ? chainOf(socket) : resumed.chain;
    },
    verificationError: refusal === undefined ? undefined : tlsError(refusal, options),
    exporter: exporterOf(socket),
  };
}

function refusalOf(socket: NodeTlsSocket, servername: string, identity: Partial<Identity>): unknown {
  if (identity.error !== undefined) return identity.error;
  if (!socket.authorized) return outOfDate(socket) ?? authorizationError(socket);
  // The runtime has not checked the name.
  return "error" in identity ? undefined : nameFault(servername, identity.certificate ?? {});
}

/** With verification off, Deno reports every failure as one of the issuer. */
function outOfDate(socket: NodeTlsSocket): Error | undefined {
  if (runtime() !== "deno") return undefined;
  const { valid_from: from = "", valid_to: until = "" } = socket.getPeerCertificate();
  const now = Date.now();
  if (Date.parse(until) < now) return new Error(`the certificate has expired at ${until}`);
  return Date.parse(from) > now ? new Error(`the certificate is not valid until ${from}`) : undefined;
}

function nameFault(servername: string, certificate: PeerCertificate): Error | undefined {
  return builtin("node:tls").checkServerIdentity(servername, certificate);
}

function authorizationError(socket: NodeTlsSocket): unknown {
  const { authorizationError: error } = socket;
  return error instanceof Error ? error : new Error(String(error ?? "the certificate was not verified"));
}

function fingerprintOf({ fingerprint256, raw }: PeerCertificate): string | undefined {
  if (fingerprint256 !== undefined) return shownFingerprint(fingerprint256);
  if (raw === undefined) return undefined;
  return shownFingerprint(builtin("node:crypto").createHash("sha256").update(raw).digest("hex"));
}

/** Follows the issuers up to a self-signed one. Computed on demand, since each certificate is parsed for it. */
function chainOf(socket: NodeTlsSocket): readonly Uint8Array[] | undefined {
  const seen = new Set<PeerCertificate>();
  const chain: Uint8Array[] = [];
  // Null once the socket is closed.
  let next: PeerCertificate | null | undefined = socket.getPeerCertificate(true);
  while (next?.raw !== undefined && !seen.has(next)) {
    seen.add(next);
    chain.push(next.raw);
    next = next.issuerCertificate;
  }
  return chain.length === 0 ? undefined : chain;
}

/** RFC 9266 4.2 gives channel binding an empty context; under TLS 1.2 that is not the same as none. */
function exporterOf(socket: NodeTlsSocket): TlsInfo["exporter"] {
  if (socket.exportKeyingMaterial === undefined) return undefined;
  return (label, length) => {
    if (socket.exportKeyingMaterial === undefined) throw new Error("the TLS session exports no keying material");
    return socket.exportKeyingMaterial(length, label, new Uint8Array(0));
  };
}

type Secrets = {
  ca?: string[];
  cert?: string;
  key?: string;
  ciphers?: string;
  ecdhCurve?: string;
  minVersion: "TLSv1.2" | "TLSv1.3";
};

function secretsOf({ ca, cert, key, minVersion, ciphers, groups }: CheckedTlsOptions): Secrets {
  return {
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
    ...(ciphers === undefined ? {} : { ciphers }),
    ...(groups === undefined ? {} : { ecdhCurve: groups }),
    minVersion,
  };
}

type Context = { readonly id: string; readonly context: object };

/** The context used last, and the digest of its options. */
let latest: { readonly text: string; readonly context: Context } | undefined;

/** Parsing the authorities takes longer than a handshake, so contexts are kept by the digest of their options. */
function contextOf(options: CheckedTlsOptions): Context {
  const secrets = secretsOf(options);
  const text = JSON.stringify(secrets);
  if (latest?.text !== text) latest = { text, context: contextMadeOf(secrets, text) };
  return latest.context;
}

function contextMadeOf(secrets: Secrets, text: string): Context {
  const id = builtin("node:crypto").createHash("sha256").update(text).digest("hex");
  let context = contexts.get(id);
  if (context === undefined) {
    try {
      context = builtin("node:tls").createSecureContext({ ...secrets, secureOptions: noRenegotiation });
    } catch (error) {
      throw unusable(error);
    }
  }
  remember(contexts, id, context, 16);
  return { id, context };
}

const contexts = new Map<string, object>();

/**
 * `SSL_OP_NO_RENEGOTIATION`: a server could present another certificate within a session, and no check would compare it
 * with the pins. The TLS of Deno and Bun refuses that itself. TLS 1.3 has no renegotiation.
 */
const noRenegotiation = 0x40000000;

/** Deno waits forever on a certificate or key that it cannot parse. */
function checkPair({ cert, key }: CheckedTlsOptions): void {
  if (cert === undefined || key === undefined) return;
  const { X509Certificate, createPrivateKey } = builtin("node:crypto");
  try {
    new X509Certificate(cert);
    createPrivateKey(key);
  } catch (error) {
    throw unusable(error);
  }
}

function unusable(cause: unknown): TypeError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new TypeError(`the TLS options ca, cert, key, ciphers or groups cannot be used: ${reason}`, { cause });
}
