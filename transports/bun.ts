/** The transport of Bun, on its own sockets: `Bun.connect`, and `upgradeTLS` for every option of TLS. */
import type { ByteStream, ConnectOptions, Endpoint, PeerInfo, TlsOptions, Transport } from "../src/byte-stream.ts";
import type { BunHandshake, BunTlsFault, BunTlsOptions, BunTlsSession } from "./bun-tls.ts";
import {
  brokenPipe,
  type Failure,
  linger,
  orAborted,
  peerInfo,
  refuseSourceAddress,
  type Settle,
  untilSent,
  type Waiter,
  waiter,
} from "./native-sockets.ts";

/** What of `Bun` is used here: neither `@types/bun` nor a cast is needed. */
declare const Bun: {
  connect(
    options: ({ hostname: string; port: number } | { unix: string }) & { allowHalfOpen: true } & Bound,
  ): Promise<Socket>;
};

/** One set of handlers serves all connections: Bun hands them the socket, and the socket bears its stream as `data`. */
type Bound = { data: BunStream; socket: Handlers };

type Handlers = {
  binaryType: "uint8array";
  open(socket: Socket): void;
  data(socket: Socket, chunk: Uint8Array): void;
  drain(socket: Socket): void;
  end(socket: Socket): void;
  close(socket: Socket, error?: Error): void;
  error(socket: Socket, error: Error): void;
  handshake(socket: Socket, success: boolean, fault: BunTlsFault | null): void;
};

type Socket = BunTlsSession & {
  readonly data: BunStream;
  readonly remoteAddress: string | undefined;
  readonly localAddress: string | undefined;
  /** How many octets were taken: all, some, none while the system's buffer is full, -1 if the connection is lost. */
  write(data: Uint8Array): number;
  /** Sends FIN, under TLS behind a close_notify; reading goes on. */
  shutdown(): void;
  /** Closes both ways; the system still sends what it has taken. */
  end(): void;
  /** Closes with RST; what is not sent yet is lost. */
  terminate(): void;
  pause(): void;
  resume(): void;
  unref(): void;
  setNoDelay(on: boolean): boolean;
  upgradeTLS(options: Bound & { tls: BunTlsOptions }): [raw: Socket, tls: Socket];
};

/** Octets received before they are asked for; above that the peer has to wait. */
const readAhead = 256 * 1024;

/**
 * Connects by `Bun.connect`, in clear; all addresses of a host are tried.
 *
 * @throws TypeError for a `sourceAddress`, which Bun cannot choose: the transport for Node can, on Bun too.
 * Otherwise the reason of the signal, or Bun's own error.
 */
export const connect: Transport = async (endpoint: Endpoint, options: ConnectOptions): Promise<ByteStream> => {
  const { signal } = options;
  signal?.throwIfAborted();
  refuseSourceAddress("Bun", options);
  const stream = new BunStream(endpoint);
  const to = "path" in endpoint ? { unix: endpoint.path } : { hostname: endpoint.host, port: endpoint.port };
  const connecting = Bun.connect({ ...to, allowHalfOpen: true, data: stream, socket: BunStream.handlers });
  await orAborted(connecting, signal, (reason) => stream.abort(reason));
  return stream;
};

class BunStream implements ByteStream {
  readonly #endpoint: Endpoint;
  #peer: PeerInfo;
  /** The socket that counts: under TLS not the raw one, whose handlers go on being given ciphertext. */
  #socket: Socket | undefined;

  readonly #chunks: Uint8Array[] = [];
  #unread = 0;
  #paused = false;
  #reader: Settle<Uint8Array | null> | undefined;
  #ended = false;
  /** Why nothing more can be read, once `#chunks` has been. */
  #unreadable: Failure | undefined;

  /** What the system has not taken yet, and who waits for that. */
  readonly #queue: Uint8Array[] = [];
  #flushed: Waiter<void> | undefined;
  /** Why nothing can be written. */
  #unwritable: Failure | undefined;

  /** Whoever waits for the handshake to be over. */
  #securing: Waiter<BunHandshake> | undefined;
  #closing: Promise<void> | undefined;
  #aborted: Failure | undefined;

  constructor(endpoint: Endpoint) {
    this.#endpoint = endpoint;
    this.#peer = peerInfo(endpoint, undefined, undefined);
  }

  get peer(): PeerInfo {
    return this.#peer;
  }

  read(): Promise<Uint8Array | null> {
    const chunk = this.#chunks.shift();
    if (chunk !== undefined) {
      this.#unread -= chunk.length;
      if (this.#paused && this.#unread < readAhead) this.#resume();
      return Promise.resolve(chunk);
    }
    if (this.#unreadable !== undefined) return Promise.reject(this.#unreadable.reason);
    if (this.#ended) return Promise.resolve(null);
    if (this.#reader ?? this.#securing) return Promise.reject(new Error("a read is already pending"));
    return new Promise((resolve, reject) => {
      this.#reader = { resolve, reject };
    });
  }

  write(data: Uint8Array): Promise<void> | undefined {
    if (this.#unwritable !== undefined) return Promise.reject(this.#unwritable.reason);
    if (data.length === 0) return undefined;
    if (this.#queue.length > 0) {
      this.#queue.push(data);
      return this.#flushed?.promise;
    }
    const taken = this.#socket?.write(data) ?? -1;
    if (taken === data.length) return undefined;
    if (taken < 0) return Promise.reject(this.#breakWriting(brokenPipe()));
    this.#queue.push(data.subarray(taken));
    this.#flushed = waiter();
    return this.#flushed.promise;
  }

  async startTls(options: TlsOptions & { servername: string }): Promise<void> {
    try {
      this.#checkUpgradable();
      await this.#upgrade(options);
      this.#throwIfAborted();
      this.#unwritable = undefined;
    } catch (error) {
      // An abort during the handshake has set its reason, which counts.
      this.abort(error);
      throw this.#aborted?.reason;
    } finally {
      this.#securing = undefined;
    }
  }

  close(): Promise<void> {
    this.#closing ??= this.#finish();
    return this.#closing;
  }

  abort(reason: unknown = new Error("the connection was aborted")): void {
    if (this.#aborted !== undefined) return;
    this.#aborted = { reason };
    const socket = this.#socket;
    this.#release(reason);
    socket?.terminate();
  }

  static readonly handlers: Handlers = {
    binaryType: "uint8array",
    open: (socket) => socket.data.#onOpen(socket),
    data: (socket, chunk) => socket.data.#onData(socket, chunk),
    drain: (socket) => socket.data.#onDrain(socket),
    end: (socket) => socket.data.#onEnd(socket),
    close: (socket, error) => socket.data.#onClose(socket, error),
    error: (socket, error) => {
      socket.data.#onClose(socket, error);
      socket.terminate();
    },
    handshake: (socket, success, fault) => socket.data.#onHandshake(socket, success, fault),
  };

  #onOpen(socket: Socket): void {
    // Aborted while connecting: nobody waits for this connection any more.
    if (this.#aborted !== undefined) {
      socket.terminate();
      return;
    }
    this.#socket = socket;
    if (this.#securing !== undefined) return;
    socket.setNoDelay(true);
    this.#peer = peerInfo(this.#endpoint, socket.remoteAddress, socket.localAddress);
  }

  #onData(socket: Socket, chunk: Uint8Array): void {
    if (socket !== this.#socket) return;
    const reader = this.#reader;
    if (reader !== undefined) {
      this.#reader = undefined;
      reader.resolve(chunk);
    } else if (this.#closing === undefined) {
      this.#chunks.push(chunk);
      this.#unread += chunk.length;
      if (this.#paused || this.#unread < readAhead) return;
      this.#paused = true;
      socket.pause();
    }
  }

  #onDrain(socket: Socket): void {
    if (socket !== this.#socket) return;
    for (let next = this.#queue[0]; next !== undefined; next = this.#queue[0]) {
      const taken = socket.write(next);
      if (taken < 0) return void this.#breakWriting(brokenPipe());
      if (taken < next.length) {
        this.#queue[0] = next.subarray(taken);
        return;
      }
      this.#queue.shift();
    }
    this.#flushed?.resolve();
    this.#flushed = undefined;
  }

  #onEnd(socket: Socket): void {
    if (socket !== this.#socket) return;
    // After a write that failed, Bun reports the reset as an orderly end.
    if (this.#unwritable !== undefined && this.#closing === undefined) this.#unreadable ??= this.#unwritable;
    this.#endReading();
  }

  #onClose(socket: Socket, error: Error | undefined): void {
    if (socket !== this.#socket) return;
    this.#socket = undefined;
    if (error !== undefined) this.#unreadable ??= { reason: error };
    this.#breakWriting(error ?? brokenPipe());
    this.#endReading();
    this.#securing?.reject(error);
  }

  #onHandshake(session: Socket, success: boolean, fault: BunTlsFault | null): void {
    if (session === this.#socket) this.#securing?.resolve({ session, success, fault });
  }

  #resume(): void {
    this.#paused = false;
    this.#socket?.resume();
  }

  #endReading(): void {
    this.#ended = true;
    if (this.#unreadable === undefined) this.#reader?.resolve(null);
    else this.#reader?.reject(this.#unreadable.reason);
    this.#reader = undefined;
  }

  /** Nothing more can be sent; what still comes can be read. */
  #breakWriting(reason: unknown): unknown {
    this.#unwritable = { reason };
    this.#queue.length = 0;
    this.#flushed?.reject(reason);
    this.#flushed = undefined;
    return reason;
  }

  /** Lets go of the socket: whoever waits is told the reason, what is queued or unread is forgotten. */
  #release(reason: unknown): void {
    this.#socket = undefined;
    this.#chunks.length = 0;
    this.#unreadable = { reason };
    this.#breakWriting(reason);
    this.#endReading();
    this.#securing?.reject(reason);
  }

  #throwIfAborted(): void {
    if (this.#aborted !== undefined) throw this.#aborted.reason;
  }

  #checkUpgradable(): void {
    this.#throwIfAborted();
    if (this.#closing !== undefined) throw new Error("the stream is closed");
    if (this.#securing !== undefined || this.#peer.tls !== undefined) throw new Error("the stream speaks TLS already");
    if (this.#reader !== undefined) throw new Error("a read is pending");
    this.#checkAllRead();
  }

  #checkAllRead(): void {
    if (this.#chunks.length > 0) throw new Error("bytes in clear are unread");
  }

  async #upgrade(options: TlsOptions & { servername: string }): Promise<void> {
    const done = waiter<BunHandshake>();
    this.#securing = done;
    this.#unwritable ??= { reason: new Error("the TLS handshake is under way") };
    // From here on what comes is for TLS to judge: it waits in the system while the code for that is loaded.
    this.#socket?.pause();
    await this.#flushed?.promise;
    const { secure } = await import("./bun-tls.ts");
    this.#checkAllRead();
    const tls = await secure(options, (tls) => {
      if (this.#ended) done.reject(this.#unreadable?.reason);
      this.#socket?.upgradeTLS({ data: this, socket: BunStream.handlers, tls });
      this.#resume();
      return done.promise;
    });
    this.#peer = { ...this.#peer, tls };
  }

  async #finish(): Promise<void> {
    if (this.#securing !== undefined) this.abort(new Error("closed during the TLS handshake"));
    if (this.#socket === undefined) return;
    const closed = new Error("the stream is closed");
    this.#unwritable = { reason: closed };
    this.#chunks.length = 0;
    if (this.#paused) this.#resume();
    if (this.#flushed !== undefined) await untilSent(this.#flushed.promise, this);
    const socket = this.#socket;
    const ended = this.#ended;
    this.#release(closed);
    socket?.shutdown();
    if (socket === undefined || ended) socket?.end();
    else linger(socket, () => socket.end());
  }
}
