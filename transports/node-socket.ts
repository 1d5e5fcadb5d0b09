/** A connected socket of Node, or a `TLSSocket`, as a `ByteStream`; `startTls` replaces the socket by a `TLSSocket`. */
import type { ByteStream, PeerInfo, TlsOptions } from "../src/byte-stream.ts";
import { builtin, type NodeDuplex } from "./node-builtins.ts";
import type { ReadBuffer } from "./read-buffer.ts";
import { checkUpgradable, closeGracefully, LOW_WATER, ReadQueue, untilSent, WriteSide } from "./socket-stream.ts";
import { noop } from "./util.ts";

/** The time to read bytes that arrived before a failed write, in milliseconds: Deno reads late on a busy machine. */
const lastReadTimeout = 50;

/** The stream below a `TLSSocket` that runs over `duplex` instead of a socket of the system; both end together. */
export type Carrier = Pick<ByteStream, "close" | "abort" | "ref" | "unref"> & { readonly duplex: NodeDuplex };

/** The stream of a connected socket, which must have no other listeners. */
export class SocketStream implements ByteStream {
  #peer: PeerInfo;
  /** The socket in use, and the one below it if it is a `TLSSocket`. */
  #socket: NodeDuplex;
  #below: NodeDuplex | undefined;
  readonly #carrier: Carrier | undefined;
  readonly #reading = new ReadQueue({ pause: () => this.#socket.pause(), resume: () => this.#socket.resume() });
  readonly #writing = new WriteSide();
  #securing = false;
  #hold: "ref" | "unref" = "ref";
  #closing: Promise<void> | undefined;
  #closed = false;
  readonly #ownWrite: ByteStream["write"];
  readonly #listeners = {
    data: (chunk: Uint8Array): void => this.#received(chunk),
    end: (): void => this.#reading.end(),
    drain: (): void => this.#drained(),
    error: (error: unknown): void => this.#fail(error),
    close: (): void => this.#fail(new Error("the connection is closed")),
  };

  /** @param from - `buffer`: what the socket reads into, if it emits no "data" events */
  constructor(
    connected: NodeDuplex,
    peer: PeerInfo,
    from: { carrier?: Carrier; buffer?: ReadBuffer | undefined } = {},
  ) {
    this.#peer = peer;
    this.#socket = connected;
    this.#carrier = from.carrier;
    this.#below = from.carrier?.duplex;
    this.#ownWrite = this.write;
    connected.on("error", noop);
    this.#takeOver();
    from.buffer?.receiveBy({ isPending: () => this.#reading.isPending, receive: this.#listeners.data });
  }

  get peer(): PeerInfo {
    return this.#peer;
  }

  /** Bytes received and not read. */
  get unread(): number {
    return this.#reading.size + this.#socket.readableLength;
  }

  unsent(write: ByteStream["write"]): number | undefined {
    return write === this.#ownWrite && this.#below === undefined ? this.#socket.writableLength : undefined;
  }

  read(): Promise<Uint8Array | null> {
    return this.#reading.read(this.#securing);
  }

  write(data: Uint8Array): Promise<void> | undefined {
    if (this.#writing.failure !== undefined) return Promise.reject(this.#writing.failure.reason);
    if (data.length === 0) return undefined;
    this.#socket.write(data);
    return this.#hasRoom ? undefined : this.#writing.untilLow();
  }

  async startTls(options: TlsOptions & { servername: string }): Promise<void> {
    try {
      this.#checkUpgradable();
      this.#securing = true;
      this.#writing.failure = { reason: new Error("the TLS handshake is under way") };
      await this.#upgrade(options);
    } catch (error) {
      // The reason of an abort during the handshake takes precedence.
      this.abort(error);
      throw this.#reading.failure?.reason ?? error;
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
    this.#reading.clear();
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
    if (this.#closing === undefined) this.#reading.receive(chunk);
  }

  #drained(): void {
    if (this.#hasRoom) this.#writing.drained();
  }

  /** Sets it on every socket: which one has the system's handle depends on the runtime. */
  #setHold(how: "ref" | "unref"): void {
    this.#hold = how;
    if (this.#closed) return;
    this.#socket[how]?.();
    this.#below?.[how]?.();
    this.#carrier?.[how]?.();
  }

  /** Bun's TLSSocket accepts everything and queues it on the Duplex below. */
  get #hasRoom(): boolean {
    return Math.max(this.#socket.writableLength, this.#below?.writableLength ?? 0) <= LOW_WATER;
  }

  #takeOver(): void {
    this.#listen("on");
    this.#below?.on("drain", this.#listeners.drain);
    this.#destroyLate(this.#socket);
  }

  #listen(how: "on" | "off"): void {
    const { data, end, drain, error, close } = this.#listeners;
    const socket = this.#socket;
    socket[how]("data", data);
    socket[how]("error", error);
    socket[how]("end", end);
    socket[how]("drain", drain);
    socket[how]("close", close);
  }

  #fail(reason: unknown): void {
    this.#writing.fail(this.#reading.fail(reason));
  }

  #throwIfFailed(): void {
    if (this.#reading.failure !== undefined) throw this.#reading.failure.reason;
  }

  #checkUpgradable(): void {
    if (this.#writing.failure !== undefined) throw this.#writing.failure.reason;
    checkUpgradable(this.#peer.tls !== undefined, this.#reading, this.unread);
  }

  async #upgrade(options: TlsOptions & { servername: string }): Promise<void> {
    // Bytes that arrive from now on belong to TLS: they wait in the socket while its code is loaded.
    this.#listen("off");
    this.#socket.pause();
    const { beginHandshake } = await import("./tls/handshake.ts");
    this.#throwIfFailed();
    const handshake = beginHandshake(this.#socket, options);
    this.#below = this.#socket;
    this.#socket = handshake.socket;
    if (this.#hold === "unref") this.#setHold(this.#hold);
    const tls = await handshake.done;
    this.#throwIfFailed();
    this.#takeOver();
    this.#peer = { ...this.#peer, tls };
    this.#writing.failure = undefined;
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
    if (this.#reading.failure !== undefined) {
      this.#drop(this.#reading.failure.reason);
      return;
    }
    const reason = new Error("the stream is closed");
    this.#writing.failure = { reason };
    this.#reading.clear();
    socket.resume();
    await untilSent(
      ended(socket).then(() => carrier && ended(carrier.duplex)),
      this,
    );
    // Everything is sent; a socket that has ended emits no "drain".
    this.#writing.drained();
    this.#fail(reason);
    await carrier?.close();
    this.#closed = true;
    if (this.#reading.ended || carrier !== undefined) {
      this.#drop(undefined);
      return;
    }
    const release = closeGracefully(socket, () => socket.destroy());
    socket.once("end", release);
    socket.once("close", release);
  }

  /**
   * After a failed write, Node destroys a socket at once, together with a reply that arrived before and gives the
   * reason. This delays the destruction until the reply is read, bypassing the socket's own buffer, which accepts
   * nothing more.
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
      // A late timer runs before data that arrived meanwhile is read, an immediate after it.
      setTimeout(() => setImmediate(() => setImmediate(() => destroy(error))), lastReadTimeout);
      return guarded;
    };
  }
}

/** Ends the writing side of a socket; resolves when everything is sent, or the socket is closed. */
function ended(socket: NodeDuplex): Promise<void> {
  return new Promise((resolve) => {
    if (socket.destroyed) resolve();
    socket.once("close", resolve);
    socket.end(resolve);
  });
}
