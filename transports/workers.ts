/** The transport of Cloudflare Workers and of workerd, on `cloudflare:sockets`; TLS is the platform's. */
import type {
  ByteStream,
  ConnectOptions,
  Endpoint,
  PeerInfo,
  TlsInfo,
  TlsOptions,
  Transport,
} from "../src/byte-stream.ts";
import { TlsError } from "../src/errors.ts";
import { type StreamPair, WebStream } from "./stream-pair.ts";
import { asciiName, checkTlsOptions, isAddress } from "./tls/options.ts";
import { type Failure, noop, raceAbort } from "./util.ts";

/** The used part of `cloudflare:sockets`: its own types are global, and not every user has them. */
type Sockets = {
  connect(
    address: { hostname: string; port: number },
    options: { secureTransport: "starttls"; allowHalfOpen: true },
  ): Socket;
};

type Socket = StreamPair & {
  readonly closed: Promise<void>;
  readonly opened: Promise<{ remoteAddress?: string | undefined; localAddress?: string | undefined }>;
  close(): Promise<void>;
  startTls(options: { expectedServerHostname: string }): Socket;
};

/**
 * Connects by `connect` of `cloudflare:sockets`, without TLS.
 *
 * `startTls` is the platform's: it verifies the certificate against the platform's authorities, by TLS 1.2 or newer,
 * and reports nothing about the session. The handshake happens with the first bytes after it, so a refused certificate
 * appears as a lost connection, with a `TlsError` as the cause; nothing is sent to that server. It supports neither
 * `ca`, `cert` and `key`, `fingerprint256`, `rejectUnauthorized`, `minVersion: "TLSv1.3"`, `ciphers` nor `groups`: with
 * one of these it throws a `TypeError` and the connection ends. Cloudflare does not allow Workers to connect to port
 * 25.
 *
 * @throws TypeError for a Unix socket or a `sourceAddress`, which a Worker does not have; the signal's reason if it
 * aborts; otherwise the platform's own error
 * @example
 * ```ts
 * import { connect } from "smtplib/transports/workers";
 *
 * const smtp = new SMTP("mail.example.com", 587, { transport: connect });
 * ```
 */
export const connect: Transport = async (endpoint: Endpoint, options: ConnectOptions): Promise<ByteStream> => {
  const { signal, sourceAddress } = options;
  signal?.throwIfAborted();
  if ("path" in endpoint) throw new TypeError("Workers have no Unix sockets");
  if (sourceAddress !== undefined && (sourceAddress[0] !== "" || sourceAddress[1] !== 0)) {
    throw new TypeError("Workers cannot choose a local address: there is no sourceAddress");
  }
  // Bundlers and minifiers cannot evaluate this: those for other platforms would look for the module.
  const { href: cloudflareSockets } = new URL("cloudflare:sockets");
  const sockets: Sockets = await import(/* webpackIgnore: true */ /* @vite-ignore */ cloudflareSockets);
  signal?.throwIfAborted();
  const address = { hostname: asciiName(endpoint.host, "host"), port: endpoint.port };
  const socket = sockets.connect(address, { secureTransport: "starttls", allowHalfOpen: true });
  socket.closed.catch(noop);
  const info = await raceAbort(socket.opened, signal, () => drop(socket));
  return new WorkerStream(socket, {
    remoteAddress: addressIn(info.remoteAddress),
    localAddress: addressIn(info.localAddress),
    loopback: false,
    tls: undefined,
  });
};

/** The known properties of the platform's TLS. */
const platformTls: TlsInfo = {
  protocol: undefined,
  cipher: undefined,
  verified: true,
  fingerprint256: undefined,
  group: undefined,
  exporter: undefined,
};

/** Refuses options that the platform does not support, since ignoring them would be unsafe. */
function checkForPlatform(options: TlsOptions & { servername: string }): { servername: string } {
  const { servername, ca, cert, pins, rejectUnauthorized, minVersion, ciphers, groups } = checkTlsOptions(options);
  const asked = {
    ca: ca !== undefined,
    "cert and key": cert !== undefined,
    fingerprint256: pins !== undefined,
    "rejectUnauthorized: false": !rejectUnauthorized,
    'minVersion: "TLSv1.3"': minVersion === "TLSv1.3",
    ciphers: ciphers !== undefined,
    groups: groups !== undefined,
  };
  const missing = Object.entries(asked).flatMap(([name, wanted]) => (wanted ? [name] : []));
  if (missing.length === 0) return { servername };
  throw new TypeError(`the TLS of Workers has no ${missing.join(", ")}: it verifies by the platform's own authorities`);
}

/** The platform returns the requested host, which may be a name, with the port. */
function addressIn(text: string | undefined): string | undefined {
  const host = text?.replace(/:\d+$/, "").replace(/^\[|\]$/g, "");
  return host !== undefined && isAddress(host) ? host : undefined;
}

function drop(socket: Socket): void {
  socket.closed.catch(noop);
  socket.close().catch(noop);
}

class WorkerStream implements ByteStream {
  #socket: Socket;
  #stream: WebStream;
  #state: "clear" | "handshake" | "secure" = "clear";
  #dropped: Failure | undefined;
  /**
   * The name of the TLS server until bytes have arrived over TLS: the platform does the handshake with the first bytes.
   */
  #unproven: string | undefined;

  constructor(socket: Socket, peer: PeerInfo) {
    this.#socket = socket;
    this.#stream = new WebStream(socket, peer);
  }

  get peer(): PeerInfo {
    return this.#stream.peer;
  }

  read(): Promise<Uint8Array | null> {
    if (this.#state === "handshake") return Promise.reject(new Error("the TLS handshake is under way"));
    return this.#unproven === undefined ? this.#stream.read() : this.#firstSecureRead(this.#unproven);
  }

  write(data: Uint8Array): Promise<void> | undefined {
    if (this.#state === "handshake") return Promise.reject(new Error("the TLS handshake is under way"));
    return this.#stream.write(data);
  }

  async startTls(options: TlsOptions & { servername: string }): Promise<void> {
    try {
      this.#throwIfDropped();
      if (this.#state !== "clear") throw new Error("the stream speaks TLS already");
      const { servername } = checkForPlatform(options);
      await this.#stream.untilSent();
      this.#throwIfDropped();
      this.#state = "handshake";
      // Fails if a read is pending. Unread bytes stay with the platform, whose handshake fails on them.
      this.#stream.release();
      this.#socket = this.#socket.startTls({ expectedServerHostname: servername });
      const peer = { ...this.#stream.peer, tls: platformTls };
      await this.#socket.opened;
      this.#throwIfDropped();
      this.#stream = new WebStream(this.#socket, peer);
      this.#unproven = servername;
      this.#state = "secure";
    } catch (error) {
      this.abort(error);
      throw this.#dropped?.reason ?? error;
    }
  }

  async close(): Promise<void> {
    if (this.#state === "handshake") this.abort(new Error("closed during the TLS handshake"));
    await this.#stream.close();
    drop(this.#socket);
  }

  abort(reason: unknown = new Error("the connection was aborted")): void {
    this.#dropped ??= { reason };
    this.#stream.abort(reason);
    drop(this.#socket);
  }

  async #firstSecureRead(servername: string): Promise<Uint8Array | null> {
    let cause: unknown;
    try {
      const chunk = await this.#stream.read();
      if (chunk !== null) {
        this.#unproven = undefined;
        return chunk;
      }
    } catch (error) {
      this.#throwIfDropped();
      cause = error;
    }
    const text = `the connection ended before anything came over TLS: either the handshake failed, or the certificate is not for "${servername}" or of no public authority`;
    throw new TlsError("handshake", text, { cause });
  }

  #throwIfDropped(): void {
    if (this.#dropped !== undefined) throw this.#dropped.reason;
  }
}
