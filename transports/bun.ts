/** The transport of Bun, on its own sockets: `Bun.connect`, and `upgradeTLS` for every option of TLS. */
import type { ByteStream, ConnectOptions, Endpoint, PeerInfo, TlsOptions, Transport } from "../src/byte-stream.ts";
import type { BunHandlers, BunSocket } from "./bun-socket.ts";
import { connectNet } from "./net-connect.ts";
import type { NodeSocket } from "./node-builtins.ts";
import {
  brokenPipe,
  checkAllRead,
  checkUpgradable,
  closeGracefully,
  peerInfo,
  ReadQueue,
  refuseSourceAddress,
  untilSent,
  WriteQueue,
} from "./socket-stream.ts";
import type { BunHandshake } from "./tls/bun.ts";
import { type Deferred, deferred, type Failure } from "./util.ts";

/**
 * Connects to a TCP port or a Unix socket, unencrypted. Tries all addresses of a host, 250 ms apart, and uses the first
 * that answers (RFC 8305 5).
 *
 * TLS is BoringSSL's, which accepts neither `ciphers` of TLS 1.3 nor a security level: these throw a `TypeError`.
 *
 * `node:net` connects: a `Bun.connect` that has begun cannot be cancelled, and keeps the process alive until the
 * system's timeout of two minutes. The connected socket is the same as that of `Bun.connect`.
 *
 * @throws TypeError for a `sourceAddress`, which Bun cannot choose: use the transport for Node, which works on Bun
 * @throws the reason of the signal, or Bun's own error; an `AggregateError` if a host has several addresses
 */
export const connect: Transport = async (endpoint: Endpoint, options: ConnectOptions): Promise<ByteStream> => {
  options.signal?.throwIfAborted();
  refuseSourceAddress("Bun", options);
  const { socket: connected } = await connectNet(endpoint, options);
  const socket = handleOf(connected);
  if (socket === undefined) return withoutHandle(connected, endpoint);
  return new BunStream(endpoint, socket);
};

/** Takes Bun's own socket out of one of `node:net`; `undefined` if this version of Bun has none in it. */
function handleOf(connected: NodeSocket): BunSocket | undefined {
  const handle: unknown = Reflect.get(connected, "_handle");
  if (!isSocket(handle)) return undefined;
  Reflect.set(connected, "_handle", null);
  return handle;
}

function isSocket(handle: unknown): handle is BunSocket {
  if (typeof handle !== "object" || handle === null) return false;
  const needed = ["reload", "write", "shutdown", "end", "terminate", "pause", "resume", "ref", "unref", "upgradeTLS"];
  return needed.every((name) => typeof Reflect.get(handle, name) === "function");
}

async function withoutHandle(socket: NodeSocket, endpoint: Endpoint): Promise<ByteStream> {
  const { SocketStream } = await import("./node-socket.ts");
  return new SocketStream(socket, peerInfo(endpoint, socket.remoteAddress, socket.localAddress));
}

/** A connected socket of Bun as a `ByteStream`. */
class BunStream implements ByteStream {
  #peer: PeerInfo;
  /** The socket in use: under TLS not the raw one, whose handlers keep getting ciphertext. */
  #socket: BunSocket | undefined;
  readonly #reading = new ReadQueue({ pause: () => this.#socket?.pause(), resume: () => this.#socket?.resume() });
  readonly #writing = new WriteQueue();
  /** Waits for the end of the TLS handshake. */
  #securing: Deferred<BunHandshake> | undefined;
  #hold: "ref" | "unref" = "ref";
  #closing: Promise<void> | undefined;
  /** Releases a socket that was closed and waits for the peer's end. */
  #release: (() => void) | undefined;
  #aborted: Failure | undefined;
  readonly #ownWrite: ByteStream["write"];

  /** The functions that the socket calls. */
  readonly #handlers: BunHandlers = {
    binaryType: "uint8array",
    open: (socket) => this.#opened(socket),
    data: (socket, chunk) => {
      if (socket === this.#socket) this.#reading.receive(chunk, this.#closing !== undefined);
    },
    drain: (socket) => this.#drain(socket),
    end: (socket) => this.#ended(socket),
    close: (socket, error) => this.#lost(socket, error),
    error: (socket, error) => {
      this.#lost(socket, error);
      socket.terminate();
    },
    handshake: (session, success, fault) => {
      if (session === this.#socket) this.#securing?.resolve({ session, success, error: fault });
    },
  };

  constructor(endpoint: Endpoint, socket: BunSocket) {
    this.#peer = peerInfo(endpoint, socket.remoteAddress, socket.localAddress);
    this.#ownWrite = this.write;
    this.#socket = socket;
    socket.reload({ socket: this.#handlers });
  }

  get peer(): PeerInfo {
    return this.#peer;
  }

  unsent(write: ByteStream["write"]): number | undefined {
    return write === this.#ownWrite ? this.#writing.size : undefined;
  }

  read(): Promise<Uint8Array | null> {
    return this.#reading.read(this.#securing !== undefined);
  }

  write(data: Uint8Array): Promise<void> | undefined {
    const writing = this.#writing;
    if (writing.failure !== undefined) return Promise.reject(writing.failure.reason);
    if (data.length === 0) return undefined;
    if (writing.size > 0) {
      writing.push(data);
      return writing.untilEmpty();
    }
    const accepted = this.#socket?.write(data) ?? -1;
    if (accepted === data.length) return undefined;
    if (accepted < 0) {
      const failure = { reason: brokenPipe() };
      writing.fail(failure);
      return Promise.reject(failure.reason);
    }
    writing.push(data.subarray(accepted));
    return writing.untilEmpty();
  }

  async startTls(options: TlsOptions & { servername: string }): Promise<void> {
    try {
      this.#throwIfAborted();
      if (this.#closing !== undefined) throw new Error("the stream is closed");
      checkUpgradable(this.#securing !== undefined || this.#peer.tls !== undefined, this.#reading, this.#reading.size);
      await this.#upgrade(options);
      this.#throwIfAborted();
      this.#writing.failure = undefined;
    } catch (error) {
      // The reason of an abort during the handshake takes precedence.
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
    this.#detach(reason);
    socket?.terminate();
  }

  ref(): void {
    this.#hold = "ref";
    this.#socket?.ref();
  }

  unref(): void {
    this.#hold = "unref";
    this.#socket?.unref();
  }

  #opened(socket: BunSocket): void {
    this.#socket = socket;
    if (this.#hold === "unref") socket.unref();
  }

  #drain(socket: BunSocket): void {
    if (socket !== this.#socket) return;
    const writing = this.#writing;
    for (let next = writing.first; next !== undefined; next = writing.first) {
      const accepted = socket.write(next);
      if (accepted < 0) return writing.fail({ reason: brokenPipe() });
      writing.accepted(accepted);
      if (accepted < next.length) return;
    }
    writing.emptied();
  }

  #ended(socket: BunSocket): void {
    if (socket !== this.#socket) return this.#releaseNow();
    // After a failed write, Bun reports the reset as an orderly end.
    if (this.#closing === undefined) this.#reading.failure ??= this.#writing.failure;
    this.#reading.end();
  }

  #lost(socket: BunSocket, error: Error | undefined): void {
    if (socket !== this.#socket) return this.#releaseNow();
    this.#socket = undefined;
    if (error !== undefined) this.#reading.failure ??= { reason: error };
    this.#writing.fail({ reason: error ?? brokenPipe() });
    this.#reading.end();
    this.#securing?.reject(error);
  }

  /** Gives up the socket: rejects what is pending, and drops what is queued or unread. */
  #detach(reason: unknown): void {
    this.#socket = undefined;
    const failure = { reason };
    this.#reading.clear();
    this.#reading.failure = failure;
    this.#writing.fail(failure);
    this.#reading.end();
    this.#securing?.reject(reason);
  }

  #releaseNow(): void {
    this.#release?.();
    this.#release = undefined;
  }

  #throwIfAborted(): void {
    if (this.#aborted !== undefined) throw this.#aborted.reason;
  }

  async #upgrade(options: TlsOptions & { servername: string }): Promise<void> {
    const done = deferred<BunHandshake>();
    this.#securing = done;
    this.#writing.failure ??= { reason: new Error("the TLS handshake is under way") };
    // Bytes that arrive from now on belong to TLS: they stay in the system while its code is loaded.
    this.#socket?.pause();
    if (this.#writing.size > 0) await this.#writing.untilEmpty();
    const { secure } = await import("./tls/bun.ts");
    checkAllRead(this.#reading.size);
    const tls = await secure(options, this.#handlers, (asked) => {
      if (this.#reading.ended) done.reject(this.#reading.failure?.reason);
      this.#socket?.upgradeTLS(asked);
      this.#reading.resume();
      return done.promise;
    });
    this.#peer = { ...this.#peer, tls };
  }

  async #finish(): Promise<void> {
    if (this.#securing !== undefined) this.abort(new Error("closed during the TLS handshake"));
    if (this.#socket === undefined) return;
    const closed = new Error("the stream is closed");
    this.#writing.failure = { reason: closed };
    this.#reading.clear();
    if (this.#writing.size > 0) await untilSent(this.#writing.untilEmpty(), this);
    const socket = this.#socket;
    const awaitsEnd = !this.#reading.ended;
    this.#detach(closed);
    socket?.shutdown();
    if (awaitsEnd && socket !== undefined) this.#release = closeGracefully(socket, () => socket.end());
    else socket?.end();
  }
}
