/** The transport of Deno, on its own sockets: `Deno.connect` and `Deno.startTls`; what that lacks is done by `node:tls`. */
import type { ByteStream, ConnectOptions, Endpoint, PeerInfo, TlsOptions, Transport } from "../src/byte-stream.ts";
import { type Failure, orAborted, peerInfo, refuseSourceAddress, type Waiter, waiter } from "./native-sockets.ts";
import { builtin } from "./node-builtins.ts";
import { makeTlsError, tlsError } from "./tls-errors.ts";
import { layerTls } from "./tls-layer.ts";
import { type CheckedTlsOptions, checkTlsOptions } from "./tls-options.ts";

/** What of `Deno` is used here: neither `@types/deno` nor a cast is needed, and any version's own types may differ. */
declare const Deno: {
  connect(options: { hostname: string; port: number; signal?: AbortSignal }): Promise<TcpConnection>;
  connect(options: { transport: "unix"; path: string }): Promise<Connection>;
  /** Takes the connection over, even where it fails. */
  startTls(connection: Connection, options: { hostname: string }): Promise<TlsConnection>;
};

type Connection = {
  readonly remoteAddr: { hostname?: string };
  readonly localAddr: { hostname?: string };
  read(into: Uint8Array): Promise<number | null>;
  write(data: Uint8Array): Promise<number>;
  closeWrite(): Promise<void>;
  close(): void;
  unref(): void;
};
type TcpConnection = Connection & { setNoDelay(on: boolean): void };
type TlsConnection = Connection & {
  /** Rejects where the server is not the one asked for; `startTls` itself does not know yet. */
  handshake(): Promise<unknown>;
};

/** The size of the one buffer that a connection reads into. */
const readSize = 64 * 1024;

/** Octets that may be queued before the writer has to wait, and at which it goes on. */
const freelyQueued = 256 * 1024;
const lowQueue = 64 * 1024;

/** How long `close` may take to send what is queued, and a closed connection to wait for the peer's end: milliseconds. */
const closeTimeout = 2_000;
const lingerTimeout = 1_000;

/**
 * Connects by `Deno.connect`, in clear; all addresses of a host are tried (RFC 8305).
 *
 * `startTls` is Deno's own where that does what is asked for. It trusts `ca` beside its own authorities, not in their
 * place, knows neither client certificates nor fingerprints nor a minimum version, and takes no Unix socket: with one
 * of these `node:tls` speaks TLS over this same connection.
 *
 * Under `Deno.startTls` an abort ends what is pending at once, but Deno keeps the socket until an unfinished handshake
 * or a write that it has begun comes to an end, or the peer's connection does.
 *
 * @throws TypeError for a `sourceAddress`, which Deno cannot choose: the transport for Node can, on Deno too.
 * Otherwise the reason of the signal, or Deno's own error.
 */
export const connect: Transport = async (endpoint: Endpoint, options: ConnectOptions): Promise<ByteStream> => {
  const { signal, sourceAddress } = options;
  signal?.throwIfAborted();
  refuseSourceAddress("Deno", sourceAddress);
  const connecting = open(endpoint, signal);
  return await orAborted(connecting, signal, (reason) => {
    connecting.then(
      (late) => late.abort(reason),
      () => {},
    );
  });
};

async function open(endpoint: Endpoint, signal: AbortSignal | undefined): Promise<ByteStream> {
  if ("path" in endpoint) {
    const connection = await Deno.connect({ transport: "unix", path: endpoint.path });
    return new DenoStream(connection, peerInfo(undefined, undefined));
  }
  const { host: hostname, port } = endpoint;
  const connection = await Deno.connect({ hostname, port, ...(signal === undefined ? {} : { signal }) });
  connection.setNoDelay(true);
  return new DenoStream(connection, peerInfo(connection.remoteAddr.hostname, connection.localAddr.hostname));
}

class DenoStream implements ByteStream {
  #peer: PeerInfo;
  #connection: Connection;
  /** What took the connection over, where `node:tls` speaks TLS. */
  #upper: ByteStream | undefined;

  #buffer: Uint8Array | undefined;
  /** Whether Deno is reading: for `#reader`, or after the end to see the peer's. */
  #receiving = false;
  #reader: { resolve(chunk: Uint8Array | null): void; reject(reason: unknown): void } | undefined;
  #ended = false;
  #unreadable: Failure | undefined;

  readonly #queue: Uint8Array[] = [];
  #queued = 0;
  #sending = false;
  /** Whoever waits until the queue is low, and until it is empty. */
  #low: Waiter<void> | undefined;
  #empty: Waiter<void> | undefined;
  #unwritable: Failure | undefined;

  #securing = false;
  #closing: Promise<void> | undefined;
  /** Closed in order: the connection only lingers. */
  #released = false;
  #aborted: Failure | undefined;

  constructor(connection: Connection, peer: PeerInfo) {
    this.#connection = connection;
    this.#peer = peer;
  }

  get peer(): PeerInfo {
    return this.#upper?.peer ?? this.#peer;
  }

  read(): Promise<Uint8Array | null> {
    if (this.#upper !== undefined) return this.#upper.read();
    if (this.#unreadable !== undefined) return Promise.reject(this.#unreadable.reason);
    if (this.#ended) return Promise.resolve(null);
    if (this.#reader !== undefined) return Promise.reject(new Error("a read is already pending"));
    return new Promise((resolve, reject) => {
      this.#reader = { resolve, reject };
      this.#receive();
    });
  }

  write(data: Uint8Array): Promise<void> | undefined {
    if (this.#upper !== undefined) return this.#upper.write(data);
    if (this.#unwritable !== undefined) return Promise.reject(this.#unwritable.reason);
    if (data.length === 0) return undefined;
    this.#queue.push(data);
    this.#queued += data.length;
    if (!this.#sending) void this.#send();
    if (this.#queued <= freelyQueued) return undefined;
    this.#low ??= waiter();
    return this.#low.promise;
  }

  async startTls(options: TlsOptions & { servername: string }): Promise<void> {
    try {
      const checked = checkTlsOptions(options);
      this.#checkUpgradable();
      this.#securing = true;
      this.#unwritable ??= { reason: new Error("the TLS handshake is under way") };
      await this.#untilSent();
      this.#checkUnused(checked);
      const native = this.#peer.remoteAddress !== undefined && isNative(checked);
      await (native ? this.#upgrade(checked) : this.#layer(options));
      if (this.#aborted !== undefined) throw this.#aborted.reason;
      this.#unwritable = undefined;
    } catch (error) {
      // An abort during the handshake has set its reason, which counts.
      this.abort(error);
      throw this.#aborted?.reason ?? error;
    } finally {
      this.#securing = false;
    }
  }

  close(): Promise<void> {
    this.#closing ??= this.#finish();
    return this.#closing;
  }

  abort(reason: unknown = new Error("the connection was aborted")): void {
    if (this.#aborted !== undefined || this.#released) return;
    this.#aborted = { reason };
    this.#upper?.abort(reason);
    this.#unreadable = this.#aborted;
    this.#breakWriting(reason);
    this.#endReading();
    release(this.#connection);
  }

  #receive(): void {
    this.#buffer ??= new Uint8Array(readSize);
    this.#receiving = true;
    this.#connection.read(this.#buffer).then(this.#onRead, this.#onReadError);
  }

  readonly #onRead = (length: number | null): void => {
    this.#receiving = false;
    if (length === null) {
      // After a write that failed, Deno reports the reset as an orderly end.
      if (this.#unwritable !== undefined && this.#closing === undefined) this.#unreadable ??= this.#unwritable;
      this.#endReading();
    } else if (this.#released) {
      this.#receive();
    } else if (this.#buffer !== undefined) {
      const reader = this.#reader;
      this.#reader = undefined;
      reader?.resolve(this.#buffer.subarray(0, length));
    }
  };

  readonly #onReadError = (error: unknown): void => {
    this.#receiving = false;
    this.#unreadable ??= { reason: error };
    this.#breakWriting(this.#unreadable.reason);
    this.#endReading();
  };

  #endReading(): void {
    this.#ended = true;
    if (this.#unreadable === undefined) this.#reader?.resolve(null);
    else this.#reader?.reject(this.#unreadable.reason);
    this.#reader = undefined;
    if (this.#released) release(this.#connection);
  }

  async #send(): Promise<void> {
    this.#sending = true;
    try {
      for (let next = this.#queue[0]; next !== undefined; next = this.#queue[0]) {
        const taken = await this.#connection.write(next);
        // Empty again where the stream was aborted meanwhile.
        if (this.#queue.length === 0) return;
        this.#queued -= taken;
        if (taken < next.length) this.#queue[0] = next.subarray(taken);
        else this.#queue.shift();
        if (this.#queued > lowQueue) continue;
        this.#low?.resolve();
        this.#low = undefined;
      }
      this.#empty?.resolve();
      this.#empty = undefined;
    } catch (error) {
      if (this.#aborted === undefined) this.#breakWriting(error);
    } finally {
      this.#sending = false;
    }
  }

  /** Nothing more can be sent; what still comes can be read. */
  #breakWriting(reason: unknown): void {
    this.#unwritable = { reason };
    this.#queue.length = 0;
    this.#queued = 0;
    this.#low?.reject(reason);
    this.#low = undefined;
    this.#empty?.reject(reason);
    this.#empty = undefined;
  }

  async #untilSent(): Promise<void> {
    if (this.#queue.length === 0) return;
    this.#empty ??= waiter();
    await this.#empty.promise;
  }

  #checkUpgradable(): void {
    if (this.#aborted !== undefined) throw this.#aborted.reason;
    if (this.#closing !== undefined) throw new Error("the stream is closed");
    if (this.#securing || this.peer.tls !== undefined) throw new Error("the stream speaks TLS already");
  }

  /** Whether bytes in clear have come that nobody has read, Deno does not tell; the handshake fails on them. */
  #checkUnused(options: CheckedTlsOptions): void {
    if (this.#receiving) throw new Error("TLS cannot begin while a read is pending");
    if (this.#ended) throw makeTlsError("closed", options, this.#unreadable?.reason);
  }

  async #upgrade(options: CheckedTlsOptions): Promise<void> {
    try {
      const connection = await Deno.startTls(this.#connection, { hostname: options.servername });
      this.#connection = connection;
      if (this.#aborted === undefined) await connection.handshake();
      else release(connection);
    } catch (error) {
      throw tlsError(error, options);
    }
    const tls = {
      verified: true,
      protocol: undefined,
      cipher: undefined,
      fingerprint256: undefined,
      exporter: undefined,
    };
    this.#peer = { ...this.#peer, tls };
  }

  async #layer(options: TlsOptions & { servername: string }): Promise<void> {
    const below = new DenoStream(this.#connection, this.#peer);
    this.#upper = below;
    this.#upper = await layerTls(below, options);
  }

  async #finish(): Promise<void> {
    if (this.#securing) this.abort(new Error("the stream was closed during the TLS handshake"));
    if (this.#aborted !== undefined) return;
    if (this.#upper !== undefined) return this.#upper.close();
    const closed = { reason: new Error("the stream is closed") };
    let open = this.#unwritable === undefined;
    this.#unwritable = closed;
    const timer = setTimeout(
      () => this.abort(new Error("the connection was closed before all was sent")),
      closeTimeout,
    );
    try {
      await this.#untilSent();
      if (open) await this.#connection.closeWrite();
    } catch {
      open = false;
    }
    clearTimeout(timer);
    if (this.#aborted !== undefined) return;
    const lingers = open && !this.#ended;
    this.#unreadable ??= closed;
    this.#endReading();
    this.#released = true;
    if (lingers) this.#linger();
    else release(this.#connection);
  }

  /**
   * A socket closed with unread bytes sends RST, which can take what was sent from the peer's hands.
   * So it waits for the peer's end a while, without keeping the process alive.
   */
  #linger(): void {
    this.#connection.unref();
    builtin("node:timers")
      .setTimeout(() => release(this.#connection), lingerTimeout)
      .unref();
    if (!this.#receiving) this.#receive();
  }
}

/** Whether `Deno.startTls` can do what is asked for, and all of it. */
function isNative({ ca, cert, rejectUnauthorized, pins, minVersion }: CheckedTlsOptions): boolean {
  return ca === undefined && cert === undefined && rejectUnauthorized && pins === undefined && minVersion === "TLSv1.2";
}

function release(connection: Connection): void {
  try {
    connection.close();
  } catch {
    // Closed already, or on its way into TLS.
  }
}
