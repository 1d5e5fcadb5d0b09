/** A connected socket of Node's, or a `TLSSocket`, as a `ByteStream`; TLS takes the socket's place on `startTls`. */
import type { ByteStream, PeerInfo, TlsOptions } from "../src/byte-stream.ts";
import { builtin, type NodeDuplex } from "./node-builtins.ts";
import { makeTlsError } from "./tls-errors.ts";
import { beginHandshake } from "./tls-handshake.ts";
import { type CheckedTlsOptions, checkTlsOptions } from "./tls-options.ts";

/** Octets received and not read at which the socket is paused, and at which it goes on. */
const fullQueue = 256 * 1024;
const lowQueue = 64 * 1024;

/** Octets that a write may leave in the socket's own queue before the writer has to wait. */
const freelyQueued = 64 * 1024;

/** How long `close` may take to send what is queued, and a closed socket to wait for the peer's end: milliseconds. */
const closeTimeout = 2_000;
const lingerTimeout = 1_000;

/** How long what has come in already may take to be read after a failed write: milliseconds. */
const lastReadTimeout = 10;

type Waiter<T> = { resolve: (value: T) => void; reject: (reason: unknown) => void };

/** What carries a socket that is none of the system's: it is closed and aborted together with it. */
export type Carrier = Pick<ByteStream, "close" | "abort">;

/** A `ByteStream` over a socket of Node's. */
export class SocketStream implements ByteStream {
  #peer: PeerInfo;
  /** The socket in use: a `TLSSocket` once the handshake has begun. */
  #socket: NodeDuplex;
  /** The socket under the `TLSSocket`. */
  #below: NodeDuplex | undefined;
  readonly #carrier: Carrier | undefined;
  #queue: Uint8Array[] = [];
  #queued = 0;
  #paused = false;
  #ended = false;
  #failure: { reason: unknown } | undefined;
  #reader: Waiter<Uint8Array | null> | undefined;
  #writer: (Waiter<void> & { promise: Promise<void> }) | undefined;
  #closing: Promise<void> | undefined;
  #closed = false;
  #securing = false;

  /** Takes over a connected socket, to which nobody else may listen. */
  constructor(socket: NodeDuplex, peer: PeerInfo, carrier?: Carrier) {
    this.#socket = socket;
    this.#carrier = carrier;
    this.#peer = peer;
    socket.on("error", ignore);
    this.#listen();
  }

  get peer(): PeerInfo {
    return this.#peer;
  }

  /** Octets received and not read. */
  get unread(): number {
    return this.#queued + this.#socket.readableLength;
  }

  read(): Promise<Uint8Array | null> {
    const chunk = this.#queue.shift();
    if (chunk !== undefined) {
      this.#queued -= chunk.length;
      if (this.#paused && this.#queued <= lowQueue) {
        this.#paused = false;
        this.#socket.resume();
        if (this.#carrier !== undefined) this.#below?.resume();
      }
      return Promise.resolve(chunk);
    }
    if (this.#failure !== undefined) return Promise.reject(this.#failure.reason);
    if (this.#ended) return Promise.resolve(null);
    if (this.#reader !== undefined || this.#securing) return Promise.reject(new Error("a read is already pending"));
    return new Promise((resolve, reject) => {
      this.#reader = { resolve, reject };
    });
  }

  write(data: Uint8Array): Promise<void> | undefined {
    if (this.#failure !== undefined) return Promise.reject(this.#failure.reason);
    if (this.#closing !== undefined) return Promise.reject(new Error("the stream is closed"));
    if (this.#securing) return Promise.reject(new Error("the TLS handshake is under way"));
    if (data.length === 0) return undefined;
    this.#socket.write(data);
    if (this.#hasRoom) return undefined;
    this.#writer ??= waiter();
    return this.#writer.promise;
  }

  async startTls(options: TlsOptions & { servername: string }): Promise<void> {
    try {
      const checked = checkTlsOptions(options);
      this.#checkUpgradable(checked);
      this.#securing = true;
      await this.#upgrade(checked);
    } catch (error) {
      // An abort during the handshake has set its reason, which counts.
      this.abort(error);
      throw this.#failure?.reason ?? error;
    } finally {
      this.#securing = false;
    }
  }

  close(): Promise<void> {
    this.#closing ??= this.#finish();
    return this.#closing;
  }

  abort(reason: unknown = new Error("the connection was aborted")): void {
    if (this.#closed) return;
    this.#queue = [];
    this.#queued = 0;
    this.#fail(reason);
    this.#drop(reason);
  }

  /** Bun's TLSSocket takes everything and queues it on the Duplex below. */
  get #hasRoom(): boolean {
    return this.#socket.writableLength <= freelyQueued && (this.#below?.writableLength ?? 0) <= freelyQueued;
  }

  #listen(): void {
    const socket = this.#socket;
    lateDestroy(socket, this.#onData);
    socket.on("data", this.#onData);
    socket.on("end", this.#onEnd);
    socket.on("drain", this.#onDrain);
    socket.on("error", this.#onError);
    socket.on("close", this.#onClose);
  }

  #unlisten(): void {
    const socket = this.#socket;
    socket.off("data", this.#onData);
    socket.off("end", this.#onEnd);
    socket.off("drain", this.#onDrain);
    socket.off("error", this.#onError);
    socket.off("close", this.#onClose);
  }

  readonly #onData = (chunk: Uint8Array): void => {
    if (this.#closing !== undefined) return;
    const reader = this.#reader;
    if (reader !== undefined) {
      this.#reader = undefined;
      reader.resolve(chunk);
      return;
    }
    this.#queue.push(chunk);
    this.#queued += chunk.length;
    if (this.#queued >= fullQueue && !this.#paused) {
      this.#paused = true;
      this.#socket.pause();
      // Deno's TLSSocket reads on over a Duplex although it is paused.
      if (this.#carrier !== undefined) this.#below?.pause();
    }
  };

  readonly #onEnd = (): void => {
    this.#ended = true;
    this.#reader?.resolve(null);
    this.#reader = undefined;
  };

  readonly #onDrain = (): void => {
    if (!this.#hasRoom) return;
    this.#writer?.resolve();
    this.#writer = undefined;
  };

  readonly #onError = (error: unknown): void => this.#fail(error);

  readonly #onClose = (): void => this.#fail(new Error("the connection is closed"));

  #fail(reason: unknown): void {
    this.#failure ??= { reason };
    this.#reader?.reject(this.#failure.reason);
    this.#reader = undefined;
    this.#writer?.reject(this.#failure.reason);
    this.#writer = undefined;
  }

  #checkUpgradable(options: CheckedTlsOptions): void {
    if (this.#failure !== undefined) throw this.#failure.reason;
    if (this.#closing !== undefined) throw new Error("the stream is closed");
    if (this.#securing || this.#peer.tls !== undefined) throw new Error("the stream speaks TLS already");
    if (this.#reader !== undefined) throw new Error("TLS cannot begin while a read is pending");
    if (this.unread > 0) throw new Error("TLS cannot begin: bytes that came in clear are unread");
    if (this.#ended) throw makeTlsError("closed", options);
  }

  async #upgrade(options: CheckedTlsOptions): Promise<void> {
    this.#unlisten();
    const { socket, done } = beginHandshake(this.#socket, options);
    this.#below = this.#socket;
    this.#socket = socket;
    const tls = await done;
    if (this.#failure !== undefined) throw this.#failure.reason;
    this.#listen();
    this.#below.on("drain", this.#onDrain);
    this.#peer = { ...this.#peer, tls };
  }

  #drop(reason: unknown): void {
    destroyNow(this.#socket);
    if (this.#below !== undefined) destroyNow(this.#below);
    this.#carrier?.abort(reason);
  }

  async #finish(): Promise<void> {
    if (this.#securing) this.abort(new Error("the stream was closed during the TLS handshake"));
    const socket = this.#socket;
    if (this.#failure !== undefined || socket.destroyed) {
      this.#drop(this.#failure?.reason);
      return;
    }
    this.#queue = [];
    this.#queued = 0;
    socket.resume();
    const { setTimeout, clearTimeout } = builtin("node:timers");
    const timer = setTimeout(
      () => this.abort(new Error("the connection was closed before all was sent")),
      closeTimeout,
    );
    await ended(socket);
    if (this.#carrier !== undefined && this.#below !== undefined) await ended(this.#below);
    clearTimeout(timer);
    // All is sent, and a socket that ends tells no more of it by "drain".
    this.#writer?.resolve();
    this.#writer = undefined;
    this.#fail(new Error("the stream is closed"));
    await this.#carrier?.close();
    this.#closed = true;
    if (this.#ended || this.#carrier !== undefined) this.#drop(undefined);
    else linger(socket);
  }
}

function ignore(): void {}

/** Ends a socket's sending: resolves when all is sent, or the socket gone. */
function ended(socket: NodeDuplex): Promise<void> {
  return new Promise((resolve) => {
    if (socket.destroyed) resolve();
    socket.once("close", resolve);
    socket.end(resolve);
  });
}

function waiter(): Waiter<void> & { promise: Promise<void> } {
  let settle: Waiter<void> = { resolve: ignore, reject: ignore };
  const promise = new Promise<void>((resolve, reject) => {
    settle = { resolve, reject };
  });
  return { ...settle, promise };
}

/**
 * A socket closed with unread bytes sends RST, which can take what was sent from the peer's hands.
 * So it waits for the peer's end a while, without keeping the process alive.
 */
function linger(socket: NodeDuplex & { unref?(): unknown }): void {
  const { setTimeout, clearTimeout } = builtin("node:timers");
  const timer = setTimeout(() => destroyNow(socket), lingerTimeout);
  timer.unref();
  socket.unref?.();
  socket.once("end", () => destroyNow(socket));
  socket.once("close", () => clearTimeout(timer));
}

const destroys = new WeakMap<NodeDuplex, (error?: Error) => unknown>();

/**
 * A failed write makes Node destroy a socket at once, together with a reply that came before and says why it failed.
 * Here the socket lives a little longer, so that the reply is read; past the stream's own buffer, which takes nothing
 * any more.
 */
function lateDestroy(socket: NodeDuplex, take: (chunk: Uint8Array) => void): void {
  const destroy = socket.destroy.bind(socket);
  destroys.set(socket, destroy);
  socket.destroy = (error?: Error) => {
    if (error === undefined || !isWriteError(error)) return destroy(error);
    socket.push = (chunk) => {
      if (chunk !== null) take(chunk);
      return true;
    };
    const { setTimeout, setImmediate } = builtin("node:timers");
    // A late timer comes before what has arrived in the meantime, an immediate after it.
    setTimeout(() => setImmediate(() => setImmediate(() => destroy(error))), lastReadTimeout);
    return socket;
  };
}

function destroyNow(socket: NodeDuplex): void {
  const destroy = destroys.get(socket);
  if (destroy === undefined) socket.destroy();
  else destroy();
}

function isWriteError(error: Error): boolean {
  return "syscall" in error && error.syscall === "write";
}
