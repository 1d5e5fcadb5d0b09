/**
 * The parts of Node's modules that the transports use, on Node, Deno and Bun.
 * They are typed here, without `@types/node`, and loaded at run time, so that neither bundlers nor type checkers of
 * other runtimes find a `node:` import.
 */

/** The events of a `NodeDuplex`. */
export interface NodeListening {
  (event: "data", listener: (chunk: Uint8Array) => void): unknown;
  (event: "error", listener: (error: Error) => void): unknown;
  (event: "session", listener: (ticket: Uint8Array) => void): unknown;
  (event: string, listener: () => void): unknown;
}

/** The used members that `net.Socket`, `tls.TLSSocket` and `stream.Duplex` share. */
export interface NodeDuplex {
  readonly on: NodeListening;
  readonly once: NodeListening;
  readonly off: NodeListening;
  read(): Uint8Array | null;
  write(data: Uint8Array): boolean;
  push(data: Uint8Array | null): boolean;
  end(done?: () => void): unknown;
  destroy(error?: Error & { syscall?: unknown }): unknown;
  pause(): unknown;
  resume(): unknown;
  isPaused(): boolean;
  ref?(): unknown;
  unref?(): unknown;
  readonly writableLength: number;
  readonly readableLength: number;
  readonly readableEnded: boolean;
  readonly destroyed: boolean;
}

/** `net.Socket`. */
export interface NodeSocket extends NodeDuplex {
  readonly remoteAddress?: string | undefined;
  readonly localAddress?: string | undefined;
}

/** `tls.TLSSocket`. */
export interface NodeTlsSocket extends NodeSocket {
  readonly authorized: boolean;
  readonly authorizationError?: unknown;
  getProtocol(): string | null;
  getCipher(): { name?: string; standardName?: string } | undefined;
  getPeerCertificate(detailed?: boolean): PeerCertificate;
  exportKeyingMaterial?(length: number, label: string, context: Uint8Array): Uint8Array;
  isSessionReused?(): boolean;
  /** The ephemeral key of the key exchange; `name` is missing for finite fields, and on Deno. */
  getEphemeralKeyInfo?(): { name?: string | undefined } | null;
}

/** The result of `getPeerCertificate`; empty if there is no certificate. */
export interface PeerCertificate {
  fingerprint256?: string;
  raw?: Uint8Array;
  valid_from?: string;
  valid_to?: string;
  /** With `detailed`: the certificate that signed it; the last known one refers to itself. */
  issuerCertificate?: PeerCertificate;
}

/** Options of `tls.connect`. */
export interface TlsConnectOptions {
  socket: NodeDuplex;
  host: string;
  servername?: string | undefined;
  rejectUnauthorized: boolean;
  checkServerIdentity(host: string, certificate: PeerCertificate): Error | undefined;
  secureContext?: object | undefined;
  session?: Uint8Array | undefined;
  ca?: string[] | undefined;
  cert?: string | undefined;
  key?: string | undefined;
  minVersion?: "TLSv1.2" | "TLSv1.3" | undefined;
  ciphers?: string | undefined;
  ecdhCurve?: string | undefined;
}

/** Options of the constructor of `stream.Duplex`. */
export interface DuplexOptions {
  allowHalfOpen?: boolean;
  readableHighWaterMark?: number;
  writableHighWaterMark?: number;
  read(): void;
  write(chunk: Uint8Array, encoding: string, done: (error?: Error | null) => void): void;
  final(done: (error?: Error | null) => void): void;
  destroy(error: Error | null, done: (error?: Error | null) => void): void;
}

/** Options of `net.connect`: the endpoint and others. */
export type NetConnectOptions = NetLocalOptions & ({ host: string; port: number } | { path: string });

/** Options of `net.connect` for the local end. */
export interface NetLocalOptions {
  localAddress?: string | undefined;
  localPort?: number | undefined;
  family?: number;
  noDelay?: boolean;
  onread?: { buffer(): Uint8Array | undefined; callback(length: number): boolean };
  allowHalfOpen?: boolean;
}

/** The result of `setTimeout`. */
export interface NodeTimer {
  unref(): unknown;
}

/** The modules, by name. */
export interface NodeModules {
  "node:net": { connect(options: NetConnectOptions): NodeSocket };
  "node:tls": {
    connect(options: TlsConnectOptions): NodeTlsSocket;
    createSecureContext(options: {
      ca?: string[] | undefined;
      cert?: string | undefined;
      key?: string | undefined;
      minVersion?: "TLSv1.2" | "TLSv1.3" | undefined;
      ciphers?: string | undefined;
      ecdhCurve?: string | undefined;
      secureOptions?: number | undefined;
    }): object;
    checkServerIdentity(host: string, certificate: PeerCertificate): Error | undefined;
  };
  "node:stream": { Duplex: new (options: DuplexOptions) => NodeDuplex };
  "node:dns": {
    promises: {
      lookup(host: string, options: { all: true; family: number }): Promise<{ address: string; family: number }[]>;
    };
  };
  "node:crypto": {
    createHash(algorithm: string): { update(data: string | Uint8Array): { digest(encoding: "hex"): string } };
    createPrivateKey(pem: string): object;
    X509Certificate: new (pem: string) => object;
  };
  "node:process": { versions: { bun?: string | undefined; deno?: string | undefined } };
  "node:timers": {
    setTimeout(callback: () => void, milliseconds: number): NodeTimer;
    clearTimeout(timer: NodeTimer): void;
    setImmediate(callback: () => void): object;
  };
}

declare const process:
  | { getBuiltinModule?<Name extends keyof NodeModules>(name: Name): NodeModules[Name] | undefined }
  | undefined;

/**
 * Returns a module of Node.
 *
 * @throws Error if the runtime does not have it.
 */
export function builtin<Name extends keyof NodeModules>(name: Name): NodeModules[Name] {
  const found = typeof process === "undefined" ? undefined : process.getBuiltinModule?.(name);
  if (found === undefined) throw new Error(`${name} is missing: this needs Node 20.16, Deno 2 or Bun`);
  return found;
}

/** The runtime whose `node:` modules `builtin` returns: Node, or another one that implements them. */
export function runtime(): "node" | "deno" | "bun" {
  const { bun, deno } = builtin("node:process").versions;
  return bun !== undefined ? "bun" : deno !== undefined ? "deno" : "node";
}
