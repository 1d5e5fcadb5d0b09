/**
 * What the protocol knows of the outside world: types only, no code.
 * A transport implements them, the client consumes them; nothing else connects the two.
 */

/** A connected, bidirectional stream of bytes: all that the protocol knows of the outside world. */
export interface ByteStream {
  /**
   * The next bytes received, or null once the peer has ended its side.
   * One read at a time; the view is valid until the next read.
   */
  read(): Promise<Uint8Array | null>;
  /**
   * Takes all of `data`, in order. Undefined: more may follow at once; a promise: wait for it (back-pressure).
   * A failed write surfaces there or in the next call.
   * `data` belongs to the stream from then on and is never changed or reused, unless `unsent` allows it.
   */
  write(data: Uint8Array): Promise<void> | undefined;
  /**
   * How many of the octets that were written, the last ones, the stream may still look at: the memory of those before
   * them may be used again. Undefined, or no such method: none of it may. It is asked with the `write` that was called,
   * so that a wrapper with one of its own, which may keep what it is given, need not know of this.
   */
  unsent?(write: ByteStream["write"]): number | undefined;
  /**
   * Upgrades to TLS in place; resolves after handshake and verification.
   * No read may be pending, nothing may be unread.
   */
  startTls(options: TlsOptions & { servername: string }): Promise<void>;
  /** Sends queued bytes, ends the stream and releases it, within a time that the transport bounds. Idempotent. */
  close(): Promise<void>;
  /** Drops the connection now; a pending read or write rejects with the reason. Idempotent, never throws. */
  abort(reason?: unknown): void;
  /**
   * Lets the process end although the connection is open; a pool calls this for idle connections. Optional: a stream
   * without a socket has no hold on the process.
   */
  unref?(): void;
  /** Keeps the process alive again while the connection is open, which is how a stream begins. */
  ref?(): void;
  /** Both ends, and the TLS session if there is one. */
  readonly peer: PeerInfo;
}

/**
 * A transport is a function that connects, in clear: implicit TLS is connect, then `startTls`.
 * Proxies are functions from transport to transport.
 */
export type Transport = (endpoint: Endpoint, options: ConnectOptions) => Promise<ByteStream>;

/** Where to connect: a TCP host and port, or the path of a Unix socket. */
export type Endpoint = { host: string; port: number } | { path: string };

/** How to connect. */
export type ConnectOptions = {
  /** Gives up connecting; the promise rejects with the signal's reason. */
  signal?: AbortSignal | undefined;
  /** The local address and port to connect from; "" and 0 leave the choice to the system. */
  sourceAddress?: [host: string, port: number] | undefined;
};

/** How TLS is set up and the server verified. Everything is in PEM. */
export type TlsOptions = {
  /** The name that the certificate must bear, if it is not the host connected to. */
  servername?: string | undefined;
  /** Certificate authorities to trust in place of the runtime's own. */
  ca?: string | string[] | undefined;
  /** The client's certificate chain; goes with `key`. */
  cert?: string | undefined;
  /** The private key of `cert`. */
  key?: string | undefined;
  /** False turns the verification of the server off. Default: true. */
  rejectUnauthorized?: boolean | undefined;
  /** SHA-256 fingerprints, one of which the server's certificate must have: hexadecimal, colons optional. */
  fingerprint256?: string | string[] | undefined;
  /** The oldest protocol version allowed. Default: "TLSv1.2". */
  minVersion?: "TLSv1.2" | "TLSv1.3" | undefined;
  /**
   * The ciphers to offer, as OpenSSL names them: "ECDHE+AESGCM:!SHA1", "DEFAULT@SECLEVEL=0". Default: the runtime's.
   * Node takes all of OpenSSL's list; Bun takes no names of TLS 1.3 and no security level; a transport that cannot set
   * them, such as those of Deno and of Workers, throws a `TypeError`.
   */
  ciphers?: string | undefined;
  /**
   * The groups (curves) for the key exchange, the most wanted first, as OpenSSL names them: "X25519:P-256". Default: the
   * runtime's. A transport that cannot set them, such as those of Deno and of Workers, throws a `TypeError`.
   */
  groups?: string | undefined;
};

/** Of the SMTP endpoint, never of a proxy on the way. `loopback` is true only where the transport itself knows it. */
export type PeerInfo = {
  remoteAddress: string | undefined;
  localAddress: string | undefined;
  loopback: boolean;
  tls: TlsInfo | undefined;
};

/** A TLS session; fields that a runtime cannot provide are undefined. */
export type TlsInfo = {
  protocol: string | undefined;
  cipher: string | undefined;
  verified: boolean;
  fingerprint256: string | undefined;
  /** The group of the key exchange as OpenSSL names it: "X25519", "prime256v1", "X25519MLKEM768". */
  group: string | undefined;
  /** The server's certificate in DER, for channel binding (RFC 5929). */
  certificate?: Uint8Array | undefined;
  /**
   * The chain of the server's certificate in DER, its own first: what the server sent, and the authority that it ends at
   * where that is trusted. Undefined for a resumed session, and where the transport cannot tell.
   */
  readonly chain?: readonly Uint8Array[] | undefined;
  /** With `rejectUnauthorized: false`: the `TlsError` that a verification would have thrown, where the transport can tell. */
  readonly verificationError?: Error | undefined;
  /** Keying material exporter (RFC 5705), for channel binding. */
  exporter: ((label: string, length: number) => Uint8Array) | undefined;
};
