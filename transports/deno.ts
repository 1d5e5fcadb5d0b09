/** The transport of Deno, on its own sockets: `Deno.connect` and `Deno.startTls`; what that lacks is done by `node:tls`. */
import type { ByteStream, ConnectOptions, Endpoint, PeerInfo, TlsOptions, Transport } from "../src/byte-stream.ts";
import type { DenoConnection } from "./deno-tls.ts";
import {
  type Failure,
  ignore,
  linger,
  orAborted,
  peerInfo,
  refuseSourceAddress,
  type Settle,
  untilSent,
  type Waiter,
  waiter,
} from "./native-sockets.ts";

/** What of `Deno` is used here: neither `@types/deno` nor a cast is needed, and any version's own types may differ. */
declare const Deno: {
  connect(options: { hostname: string; port: number; signal?: AbortSignal }): Promise<TcpConnection>;
  connect(options: { transport: "unix"; path: string }): Promise<DenoConnection>;
};

type TcpConnection = DenoConnection & { setNoDelay(on: boolean): void };

/** The size of the one buffer that a connection reads into. */
const readSize = 64 * 1024;

/** Octets that may be queued before the writer has to wait, and at which it goes on. */
const freelyQueued = 256 * 1024;
const lowQueue = 64 * 1024;

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
  const { signal } = options;
  signal?.throwIfAborted();
  refuseSourceAddress("Deno", options);
  const connecting = open(endpoint, signal);
  const connection = await orAborted(connecting, signal, () => void connecting.then(release, ignore));
  return new DenoStream(connection, peerInfo(endpoint, connection.remoteAddr.hostname, connection.localAddr.hostname));
};

async function open(endpoint: Endpoint, signal: AbortSignal | undefined): Promise<DenoConnection> {
  if ("path" in endpoint) return Deno.connect({ transport: "unix", path: endpoint.path });
  const { host: hostname, port } = endpoint;
  const connection = await Deno.connect({ hostname, port, ...(signal && { signal }) });
  connection.setNoDelay(true);
  return connection;
}

class DenoStream implements ByteStream {
  #peer: PeerInfo;
  #connection: DenoConnection;
  /** What took the connection over, where `node:tls` speaks TLS. */
  #upper: ByteStream | undefined;

  readonly #buffer = new Uint8Array(readSize);
  #reader: Settle<Uint8Array | null> | undefined;
  #ended = false;
  #unreadable: Failure | undefined;

  readonly #queue: Uint8Array[] = [];
  #queued = 0;
  /** Whoever waits until the queue is low, and until it is empty. */
  #low: Waiter<void> | undefined;
  #empty: Waiter<void> | undefined;
  #unwritable: Failure | undefined;

  #securing = false;
  #closing: Promise<void> | undefined;
  /** Closed in order: the connection only lingers. */
  #released = false;
  #aborted: Failure | undefined;

  constructor(connection: DenoConnection, peer: PeerInfo) {
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
    if (this.#reader !== undefined || this.#securing) return Promise.reject(new Error("a read is already pending"));
    return new Promise((resolve, reject) => {
      this.#reader = { resolve, reject };
      this.#receive();
    });
  }

  write(data: Uint8Array): Promise<void> | undefined {
    if (this.#upper !== undefined) return this.#upper.write(data);
    if (this.#unwritable !== undefined) return Promise.reject(this.#unwritable.reason);
    if (data.length === 0) return undefined;
    this.#queued += data.length;
    if (this.#queue.push(data) === 1) void this.#send();
    if (this.#queued <= freelyQueued) return undefined;
    this.#low ??= waiter();
    return this.#low.promise;
  }

  async startTls(options: TlsOptions & { servername: string }): Promise<void> {
    try {
      this.#checkUpgradable();
      this.#securing = true;
      this.#unwritable ??= { reason: new Error("the TLS handshake is under way") };
      await this.#untilSent();
      await this.#upgrade(options);
      this.#throwIfAborted();
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
    this.#connection.read(this.#buffer).then(this.#onRead, this.#onReadError);
  }

  readonly #onRead = (length: number | null): void => {
    if (length === null) {
      // After a write that failed, Deno reports the reset as an orderly end.
      if (this.#unwritable !== undefined && this.#closing === undefined) this.#unreadable ??= this.#unwritable;
      this.#endReading();
    } else if (this.#released) {
      this.#receive();
    } else {
      const reader = this.#reader;
      this.#reader = undefined;
      reader?.resolve(this.#buffer.subarray(0, length));
    }
  };

  readonly #onReadError = (error: unknown): void => {
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

  #throwIfAborted(): void {
    if (this.#aborted !== undefined) throw this.#aborted.reason;
  }

  /** Whether bytes in clear have come that nobody has read, Deno does not tell; the handshake fails on them. */
  #checkUpgradable(): void {
    this.#throwIfAborted();
    if (this.#closing !== undefined) throw new Error("the stream is closed");
    if (this.#securing || this.peer.tls !== undefined) throw new Error("the stream speaks TLS already");
    if (this.#reader !== undefined) throw new Error("a read is pending");
  }

  async #upgrade(options: TlsOptions & { servername: string }): Promise<void> {
    // What comes meanwhile stays with Deno, as nobody reads: TLS will judge it.
    const { closedBefore, layerTls, upgrade } = await import("./deno-tls.ts");
    this.#throwIfAborted();
    if (this.#ended) throw closedBefore(options, this.#unreadable?.reason);
    const tls = await upgrade(this.#connection, options, (connection) => {
      this.#connection = connection;
      if (this.#aborted !== undefined) release(connection);
    });
    if (tls !== undefined) {
      this.#peer = { ...this.#peer, tls };
      return;
    }
    const below = new DenoStream(this.#connection, this.#peer);
    this.#upper = below;
    this.#upper = await layerTls(below, options);
  }

  async #finish(): Promise<void> {
    if (this.#securing) this.abort(new Error("closed during the TLS handshake"));
    if (this.#aborted !== undefined) return;
    if (this.#upper !== undefined) return this.#upper.close();
    const closed = { reason: new Error("the stream is closed") };
    const open = this.#unwritable === undefined;
    this.#unwritable = closed;
    const sent = await untilSent(
      this.#untilSent().then(() => (open ? this.#connection.closeWrite() : undefined)),
      this,
    );
    if (this.#aborted !== undefined) return;
    const lingers = open && sent && !this.#ended;
    const receiving = this.#reader !== undefined;
    this.#unreadable ??= closed;
    this.#endReading();
    this.#released = true;
    if (!lingers) {
      release(this.#connection);
      return;
    }
    linger(this.#connection, () => release(this.#connection));
    if (!receiving) this.#receive();
  }
}

function release(connection: DenoConnection): void {
  try {
    connection.close();
  } catch {
    // Closed already, or on its way into TLS.
  }
}
