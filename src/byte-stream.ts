/**
 * The interface between the protocol and the runtimes: types only, no code.
 * Transports implement it, and the client uses it.
 */

/** A connected, bidirectional stream of bytes. */
export interface ByteStream {
  /**
   * The next bytes received, or null once the peer has ended its side.
   * One read at a time; the view is valid until the next read.
   */
  read(): Promise<Uint8Array | null>;
  /**
   * Takes all of `data`, in order. Returns undefined if more may follow at once, or a promise to wait for
   * (back-pressure). A failed write rejects that promise, or the next call fails. The caller never changes or reuses
   * `data` after the call, unless `unsent` allows it.
   */
  write(data: Uint8Array): Promise<void> | undefined;
  /**
   * Returns how many of the last written bytes the stream may still read: the memory of those before them may be
   * reused. Undefined, or no such method: none of it may. The argument is the `write` that was called, so that a
   * wrapper with its own `write`, which may keep the data, need not implement this method.
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
   * without a socket does not keep the process alive.
   */
  unref?(): void;
  /** Keeps the process alive again while the connection is open, which is how a stream begins. */
  ref?(): void;
  /** Both ends, and the TLS session if there is one. */
  readonly peer: PeerInfo;
}

/**
 * A transport is a function that connects without TLS: implicit TLS is connect, then `startTls`.
 * Proxies are functions from transport to transport.
 */
export type Transport = (endpoint: Endpoint, options: ConnectOptions) => Promise<ByteStream>;

/** Where to connect: a TCP host and port, or the path of a Unix socket. */
export type Endpoint = { host: string; port: number } | { path: string };

/** How to connect. */
export type ConnectOptions = {
  /** Aborts connecting; the promise rejects with the signal's reason. */
  signal?: AbortSignal | undefined;
  /** The local address and port to connect from; "" and 0 leave the choice to the system. */
  sourceAddress?: [host: string, port: number] | undefined;
};

/** How TLS is set up and the server verified. Everything is in PEM. */
export type TlsOptions = {
  /** The name that the certificate must have. Default: the host connected to. */
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
   * Node accepts all of OpenSSL's names; Bun accepts no names of TLS 1.3 and no security level; a transport that cannot
   * set them, such as those of Deno and of Workers, throws a `TypeError`.
   */
  ciphers?: string | undefined;
  /**
   * The groups (curves) for the key exchange, the most preferred first, as OpenSSL names them: "X25519:P-256". Default:
   * the runtime's. A transport that cannot set them, such as those of Deno and of Workers, throws a `TypeError`.
   */
  groups?: string | undefined;
};

/** The SMTP endpoint, never a proxy on the way. `loopback` is true only if the transport itself knows it. */
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
   * The chain of the server's certificate in DER, its own first: the certificates that the server sent, and the
   * authority at its end if that is trusted. Undefined for a resumed session, and if the transport does not know it.
   */
  readonly chain?: readonly Uint8Array[] | undefined;
  /**
   * With `rejectUnauthorized: false`: the `TlsError` that verification would have thrown, if the transport knows it.
   */
  readonly verificationError?: Error | undefined;
  /** Keying material exporter (RFC 5705), for channel binding. */
  exporter: ((label: string, length: number) => Uint8Array) | undefined;
};
