/** A connected socket of Node's, or a `TLSSocket`, as a `ByteStream`; TLS takes the socket's place on `startTls`. */
import type { ByteStream, PeerInfo, TlsOptions } from "../src/byte-stream.ts";
import { type Failure, ignore, linger, type Settle, untilSent, type Waiter, waiter } from "./native-sockets.ts";
import { builtin, type NodeDuplex } from "./node-builtins.ts";
import type { ReadBuffer } from "./read-buffer.ts";

/** Octets received and not read at which the socket is paused, and at which it goes on. */
const fullQueue = 256 * 1024;
const lowQueue = 64 * 1024;

/** Octets that a write may leave in the socket's own queue before the writer has to wait. */
const freelyQueued = 64 * 1024;

/** How long what has come in already may take to be read after a failed write: milliseconds. */
const lastReadTimeout = 10;

/** What carries a `TLSSocket` over `duplex`, which is none of the system's sockets: they end together. */
export type Carrier = Pick<ByteStream, "close" | "abort" | "ref" | "unref"> & { readonly duplex: NodeDuplex };

/** A stream of a connected socket, to which nobody else may listen. */
export class SocketStream implements ByteStream {
  #peer: PeerInfo;
  /** The socket in use, and under a `TLSSocket` the one that it stands on. */
  #socket: NodeDuplex;
  #below: NodeDuplex | undefined;
  readonly #carrier: Carrier | undefined;
  #queue: Uint8Array[] = [];
  #queued = 0;
  #hasEnded = false;
  /** Why nothing more can be read, once the queue has been; and why nothing can be written. */
  #failure: Failure | undefined;
  #unwritable: Failure | undefined;
  #reader: Settle<Uint8Array | null> | undefined;
  #writer: Waiter<void> | undefined;
  #securing = false;
  #hold: "ref" | "unref" = "ref";
  #closing: Promise<void> | undefined;
  #closed = false;
  readonly #write: ByteStream["write"];
  readonly #listeners = {
    data: (chunk: Uint8Array): void => this.#received(chunk),
    end: (): void => {
      this.#hasEnded = true;
      this.#takeReader()?.resolve(null);
    },
    drain: (): void => this.#drained(),
    error: (error: unknown): void => this.#fail(error),
    close: (): void => this.#fail(new Error("the connection is closed")),
  };

  /** `buffer` is what the socket reads into, if it is not read by "data" events. */
  constructor(
    connected: NodeDuplex,
    peer: PeerInfo,
    from: { carrier?: Carrier; buffer?: ReadBuffer | undefined } = {},
  ) {
    this.#peer = peer;
    this.#socket = connected;
    this.#carrier = from.carrier;
    this.#below = from.carrier?.duplex;
    this.#write = this.write;
    connected.on("error", ignore);
    this.#takeOver();
    from.buffer?.receiveBy(this.#listeners.data);
  }

  get peer(): PeerInfo {
    return this.#peer;
  }

  /** Octets received and not read. */
  get unread(): number {
    return this.#queued + this.#socket.readableLength;
  }

  unsent(write: ByteStream["write"]): number | undefined {
    return write === this.#write && this.#below === undefined ? this.#socket.writableLength : undefined;
  }

  read(): Promise<Uint8Array | null> {
    const chunk = this.#queue.shift();
    if (chunk !== undefined) {
      this.#queued -= chunk.length;
      if (this.#queued <= lowQueue && this.#socket.isPaused()) this.#socket.resume();
      return Promise.resolve(chunk);
    }
    if (this.#failure !== undefined) return Promise.reject(this.#failure.reason);
    if (this.#hasEnded) return Promise.resolve(null);
    if (this.#reader !== undefined || this.#securing) return Promise.reject(new Error("a read is already pending"));
    return new Promise((resolve, reject) => {
      this.#reader = { resolve, reject };
    });
  }

  write(data: Uint8Array): Promise<void> | undefined {
    if (this.#unwritable !== undefined) return Promise.reject(this.#unwritable.reason);
    if (data.length === 0) return undefined;
    this.#socket.write(data);
    if (this.#hasRoom) return undefined;
    this.#writer ??= waiter();
    return this.#writer.promise;
  }

  async startTls(options: TlsOptions & { servername: string }): Promise<void> {
    try {
      this.#checkUpgradable();
      this.#securing = true;
      this.#unwritable = { reason: new Error("the TLS handshake is under way") };
      await this.#upgrade(options);
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
    this.#fail(reason);
    this.#drop(reason);
  }

  ref(): void {
    this.#setHold("ref");
  }

  unref(): void {
    this.#setHold("unref");
  }

  #received(chunk: Uint8Array): void {
    if (this.#closing !== undefined) return;
    const waiting = this.#takeReader();
    if (waiting !== undefined) {
      waiting.resolve(chunk);
      return;
    }
    this.#queue.push(chunk);
    this.#queued += chunk.length;
    if (this.#queued >= fullQueue) this.#socket.pause();
  }

  #drained(): void {
    if (!this.#hasRoom) return;
    this.#writer?.resolve();
    this.#writer = undefined;
  }

  /** Sets it on each socket: which one of them has the system's handle depends on the runtime. */
  #setHold(how: "ref" | "unref"): void {
    this.#hold = how;
    if (this.#closed) return;
    this.#socket[how]?.();
    this.#below?.[how]?.();
    this.#carrier?.[how]?.();
  }

  /** Bun's TLSSocket takes everything and queues it on the Duplex below. */
  get #hasRoom(): boolean {
    return Math.max(this.#socket.writableLength, this.#below?.writableLength ?? 0) <= freelyQueued;
  }

  #takeOver(): void {
    this.#listen("on");
    this.#below?.on("drain", this.#listeners.drain);
    this.#destroyLate(this.#socket);
  }

  #listen(how: "on" | "off"): void {
    for (const [event, listener] of Object.entries(this.#listeners)) this.#socket[how](event, listener);
  }

  #takeReader(): Settle<Uint8Array | null> | undefined {
    const taken = this.#reader;
    this.#reader = undefined;
    return taken;
  }

  #fail(reason: unknown): void {
    this.#failure ??= { reason };
    this.#unwritable = this.#failure;
    this.#takeReader()?.reject(this.#failure.reason);
    this.#writer?.reject(this.#failure.reason);
  }

  #throwIfFailed(): void {
    if (this.#failure !== undefined) throw this.#failure.reason;
  }

  #checkUpgradable(): void {
    if (this.#unwritable !== undefined) throw this.#unwritable.reason;
    if (this.#peer.tls !== undefined) throw new Error("the stream speaks TLS already");
    if (this.#reader !== undefined) throw new Error("a read is pending");
    if (this.unread > 0) throw new Error("bytes in clear are unread");
  }

  async #upgrade(options: TlsOptions & { servername: string }): Promise<void> {
    // From here on what comes is for TLS to judge: it waits in the socket while the code for that is loaded.
    this.#listen("off");
    this.#socket.pause();
    const { beginHandshake } = await import("./tls-handshake.ts");
    this.#throwIfFailed();
    const handshake = beginHandshake(this.#socket, options);
    this.#below = this.#socket;
    this.#socket = handshake.socket;
    if (this.#hold === "unref") this.#setHold(this.#hold);
    const tls = await handshake.done;
    this.#throwIfFailed();
    this.#takeOver();
    this.#peer = { ...this.#peer, tls };
    this.#unwritable = undefined;
  }

  #drop(reason: unknown): void {
    this.#socket.destroy();
    this.#below?.destroy();
    this.#carrier?.abort(reason);
  }

  async #finish(): Promise<void> {
    const socket = this.#socket;
    const carrier = this.#carrier;
    if (this.#securing) this.abort(new Error("closed during the TLS handshake"));
    if (this.#failure !== undefined) {
      this.#drop(this.#failure.reason);
      return;
    }
    const reason = new Error("the stream is closed");
    this.#unwritable = { reason };
    this.#queue = [];
    socket.resume();
    await untilSent(
      ended(socket).then(() => carrier && ended(carrier.duplex)),
      this,
    );
    // All is sent, and a socket that ends tells no more of it by "drain".
    this.#writer?.resolve();
    this.#fail(reason);
    await carrier?.close();
    this.#closed = true;
    if (this.#hasEnded || carrier !== undefined) {
      this.#drop(undefined);
      return;
    }
    const release = linger(socket, () => socket.destroy());
    socket.once("end", release);
    socket.once("close", release);
  }

  /**
   * A failed write makes Node destroy a socket at once, together with a reply that came before and says why it failed.
   * Here the socket lives a little longer, so that the reply is read; past the stream's own buffer, which takes nothing
   * any more.
   */
  #destroyLate(guarded: NodeDuplex): void {
    const destroy = guarded.destroy.bind(guarded);
    guarded.destroy = (error) => {
      if (error?.syscall !== "write") return destroy(error);
      guarded.push = (chunk) => {
        if (chunk !== null && guarded === this.#socket && !this.#securing) this.#received(chunk);
        return true;
      };
      const { setTimeout, setImmediate } = builtin("node:timers");
      // A late timer comes before what has arrived in the meantime, an immediate after it.
      setTimeout(() => setImmediate(() => setImmediate(() => destroy(error))), lastReadTimeout);
      return guarded;
    };
  }
}

/** Ends a socket's sending: resolves when all is sent, or the socket gone. */
function ended(socket: NodeDuplex): Promise<void> {
  return new Promise((resolve) => {
    if (socket.destroyed) resolve();
    socket.once("close", resolve);
    socket.end(resolve);
  });
}
