/** A connected socket of Node's, or a `TLSSocket`, as a `ByteStream`; TLS takes the socket's place on `startTls`. */
import type { ByteStream, PeerInfo, TlsOptions } from "../src/byte-stream.ts";
import { type Failure, ignore, linger, type Settle, untilSent, type Waiter, waiter } from "./native-sockets.ts";
import { builtin, type NodeDuplex } from "./node-builtins.ts";

/** Octets received and not read at which the socket is paused, and at which it goes on. */
const fullQueue = 256 * 1024;
const lowQueue = 64 * 1024;

/** Octets that a write may leave in the socket's own queue before the writer has to wait. */
const freelyQueued = 64 * 1024;

/** How long what has come in already may take to be read after a failed write: milliseconds. */
const lastReadTimeout = 10;

/** What carries a `TLSSocket` over `duplex`, which is none of the system's sockets: they end together. */
export type Carrier = Pick<ByteStream, "close" | "abort" | "ref" | "unref"> & { readonly duplex: NodeDuplex };

/** A `ByteStream` over a socket of Node's. */
export type SocketStream = ByteStream & {
  /** Octets received and not read. */
  readonly unread: number;
};

/**
 * Makes a stream of a connected socket, to which nobody else may listen.
 *
 * Its state is in variables rather than in private fields, which no bundler can shorten as well.
 */
export function socketStream(connected: NodeDuplex, ends: PeerInfo, carrier?: Carrier): SocketStream {
  let peer = ends;
  /** The socket in use, and under a `TLSSocket` the one that it stands on. */
  let socket = connected;
  let below = carrier?.duplex;
  let queue: Uint8Array[] = [];
  let queued = 0;
  let hasEnded = false;
  /** Why nothing more can be read, once the queue has been; and why nothing can be written. */
  let failure: Failure | undefined;
  let unwritable: Failure | undefined;
  let reader: Settle<Uint8Array | null> | undefined;
  let writer: Waiter<void> | undefined;
  let securing = false;
  let hold: "ref" | "unref" = "ref";
  let closing: Promise<void> | undefined;
  let closed = false;

  const stream: SocketStream = {
    get peer() {
      return peer;
    },

    unsent: (write) => (write === ownWrite && below === undefined ? socket.writableLength : undefined),

    get unread() {
      return queued + socket.readableLength;
    },

    read() {
      const chunk = queue.shift();
      if (chunk !== undefined) {
        queued -= chunk.length;
        if (queued <= lowQueue && socket.isPaused()) socket.resume();
        return Promise.resolve(chunk);
      }
      if (failure !== undefined) return Promise.reject(failure.reason);
      if (hasEnded) return Promise.resolve(null);
      if (reader !== undefined || securing) return Promise.reject(new Error("a read is already pending"));
      return new Promise((resolve, reject) => {
        reader = { resolve, reject };
      });
    },

    write(data) {
      if (unwritable !== undefined) return Promise.reject(unwritable.reason);
      if (data.length === 0) return undefined;
      socket.write(data);
      if (hasRoom()) return undefined;
      writer ??= waiter();
      return writer.promise;
    },

    async startTls(options) {
      try {
        checkUpgradable();
        securing = true;
        unwritable = { reason: new Error("the TLS handshake is under way") };
        await upgrade(options);
      } catch (error) {
        // An abort during the handshake has set its reason, which counts.
        abort(error);
        throw failure?.reason ?? error;
      } finally {
        securing = false;
      }
    },

    close() {
      closing ??= finish();
      return closing;
    },

    abort,
    ref: () => setHold("ref"),
    unref: () => setHold("unref"),
  };

  const { write: ownWrite } = stream;

  const listeners = {
    data(chunk: Uint8Array): void {
      if (closing !== undefined) return;
      const waiting = takeReader();
      if (waiting !== undefined) {
        waiting.resolve(chunk);
        return;
      }
      queue.push(chunk);
      queued += chunk.length;
      if (queued >= fullQueue) socket.pause();
    },
    end(): void {
      hasEnded = true;
      takeReader()?.resolve(null);
    },
    drain(): void {
      if (!hasRoom()) return;
      writer?.resolve();
      writer = undefined;
    },
    error: fail,
    close: (): void => fail(new Error("the connection is closed")),
  };

  function abort(reason: unknown = new Error("the connection was aborted")): void {
    if (closed) return;
    queue = [];
    fail(reason);
    drop(reason);
  }

  /** Sets it on each socket: which one of them has the system's handle depends on the runtime. */
  function setHold(how: "ref" | "unref"): void {
    hold = how;
    if (closed) return;
    socket[how]?.();
    below?.[how]?.();
    carrier?.[how]?.();
  }

  /** Bun's TLSSocket takes everything and queues it on the Duplex below. */
  function hasRoom(): boolean {
    return Math.max(socket.writableLength, below?.writableLength ?? 0) <= freelyQueued;
  }

  function takeOver(): void {
    listen("on");
    below?.on("drain", listeners.drain);
    destroyLate(socket);
  }

  function listen(how: "on" | "off"): void {
    for (const [event, listener] of Object.entries(listeners)) socket[how](event, listener);
  }

  function takeReader(): Settle<Uint8Array | null> | undefined {
    const taken = reader;
    reader = undefined;
    return taken;
  }

  function fail(reason: unknown): void {
    failure ??= { reason };
    unwritable = failure;
    takeReader()?.reject(failure.reason);
    writer?.reject(failure.reason);
  }

  function throwIfFailed(): void {
    if (failure !== undefined) throw failure.reason;
  }

  function checkUpgradable(): void {
    if (unwritable !== undefined) throw unwritable.reason;
    if (peer.tls !== undefined) throw new Error("the stream speaks TLS already");
    if (reader !== undefined) throw new Error("a read is pending");
    if (stream.unread > 0) throw new Error("bytes in clear are unread");
  }

  async function upgrade(options: TlsOptions & { servername: string }): Promise<void> {
    // From here on what comes is for TLS to judge: it waits in the socket while the code for that is loaded.
    listen("off");
    socket.pause();
    const { beginHandshake } = await import("./tls-handshake.ts");
    throwIfFailed();
    const handshake = beginHandshake(socket, options);
    below = socket;
    socket = handshake.socket;
    if (hold === "unref") setHold(hold);
    const tls = await handshake.done;
    throwIfFailed();
    takeOver();
    peer = { ...peer, tls };
    unwritable = undefined;
  }

  function drop(reason: unknown): void {
    socket.destroy();
    below?.destroy();
    carrier?.abort(reason);
  }

  async function finish(): Promise<void> {
    if (securing) abort(new Error("closed during the TLS handshake"));
    if (failure !== undefined) {
      drop(failure.reason);
      return;
    }
    const reason = new Error("the stream is closed");
    unwritable = { reason };
    queue = [];
    socket.resume();
    await untilSent(
      ended(socket).then(() => carrier && ended(carrier.duplex)),
      stream,
    );
    // All is sent, and a socket that ends tells no more of it by "drain".
    writer?.resolve();
    fail(reason);
    await carrier?.close();
    closed = true;
    if (hasEnded || carrier !== undefined) {
      drop(undefined);
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
  function destroyLate(guarded: NodeDuplex): void {
    const destroy = guarded.destroy.bind(guarded);
    guarded.destroy = (error) => {
      if (error?.syscall !== "write") return destroy(error);
      guarded.push = (chunk) => {
        if (chunk !== null && guarded === socket && !securing) listeners.data(chunk);
        return true;
      };
      const { setTimeout, setImmediate } = builtin("node:timers");
      // A late timer comes before what has arrived in the meantime, an immediate after it.
      setTimeout(() => setImmediate(() => setImmediate(() => destroy(error))), lastReadTimeout);
      return guarded;
    };
  }

  connected.on("error", ignore);
  takeOver();
  return stream;
}

/** Ends a socket's sending: resolves when all is sent, or the socket gone. */
function ended(socket: NodeDuplex): Promise<void> {
  return new Promise((resolve) => {
    if (socket.destroyed) resolve();
    socket.once("close", resolve);
    socket.end(resolve);
  });
}
