/** The transport of Bun, on its own sockets: `Bun.connect`, and `upgradeTLS` for every option of TLS. */
import type { ByteStream, ConnectOptions, Endpoint, TlsOptions, Transport } from "../src/byte-stream.ts";
import type { BunHandshake, BunTlsFault, BunTlsOptions, BunTlsSession } from "./bun-tls.ts";
import {
  brokenPipe,
  type Failure,
  linger,
  peerInfo,
  refuseSourceAddress,
  type Settle,
  untilSent,
  type Waiter,
  waiter,
} from "./native-sockets.ts";
import { connectNet } from "./net-connect.ts";
import type { NodeSocket } from "./node-builtins.ts";

type Bound = { socket: Handlers };

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
  ref(): void;
  unref(): void;
  upgradeTLS(options: Bound & { tls: BunTlsOptions }): [raw: Socket, tls: Socket];
  /** Gives the socket other handlers. */
  reload(options: Bound): void;
};

/** Octets received before they are asked for; above that the peer has to wait. */
const readAhead = 256 * 1024;

/**
 * Connects in clear to a TCP port or a Unix socket. All addresses of a host are tried, 250 ms apart, and the first that
 * answers is taken (RFC 8305 5).
 *
 * TLS is BoringSSL's, which takes no `ciphers` of TLS 1.3 and no security level: they are a `TypeError`.
 *
 * `node:net` does the connecting: a `Bun.connect` that has begun cannot be given up, and keeps the process alive until
 * the system gives up, after two minutes. The connected socket is the same as that of `Bun.connect`.
 *
 * @throws TypeError for a `sourceAddress`, which Bun cannot choose: the transport for Node can, on Bun too.
 * Otherwise the reason of the signal, or Bun's own error; an `AggregateError` where a host has several addresses.
 */
export const connect: Transport = async (endpoint: Endpoint, options: ConnectOptions): Promise<ByteStream> => {
  options.signal?.throwIfAborted();
  refuseSourceAddress("Bun", options);
  const { socket: connected } = await connectNet(endpoint, options);
  const socket = handleOf(connected);
  if (socket === undefined) return withoutHandle(connected, endpoint);
  const { stream, handlers } = bunStream(endpoint);
  socket.reload({ socket: handlers });
  handlers.open(socket);
  return stream;
};

/** Takes the socket of Bun's own out of one of `node:net`; undefined where this version of Bun has none in it. */
function handleOf(connected: NodeSocket): Socket | undefined {
  const handle: unknown = Reflect.get(connected, "_handle");
  if (!isSocket(handle)) return undefined;
  Reflect.set(connected, "_handle", null);
  return handle;
}

function isSocket(handle: unknown): handle is Socket {
  if (typeof handle !== "object" || handle === null) return false;
  const needed = ["reload", "write", "shutdown", "end", "terminate", "pause", "resume", "ref", "unref", "upgradeTLS"];
  return needed.every((name) => typeof Reflect.get(handle, name) === "function");
}

async function withoutHandle(socket: NodeSocket, endpoint: Endpoint): Promise<ByteStream> {
  const { SocketStream } = await import("./node-socket.ts");
  return new SocketStream(socket, peerInfo(endpoint, socket.remoteAddress, socket.localAddress));
}

/**
 * A stream, and what its socket is to call.
 *
 * Its state is in variables rather than in private fields, which no bundler can shorten as well.
 */
function bunStream(endpoint: Endpoint): { readonly stream: ByteStream; readonly handlers: Handlers } {
  let peer = peerInfo(endpoint, undefined, undefined);
  /** The socket that counts: under TLS not the raw one, whose handlers go on being given ciphertext. */
  let current: Socket | undefined;

  const chunks: Uint8Array[] = [];
  let unread = 0;
  let paused = false;
  let reader: Settle<Uint8Array | null> | undefined;
  let ended = false;
  /** Why nothing more can be read, once `chunks` has been. */
  let unreadable: Failure | undefined;

  /** What the system has not taken yet, and who waits for that. */
  const queue: Uint8Array[] = [];
  let flushed: Waiter<void> | undefined;
  /** Why nothing can be written. */
  let unwritable: Failure | undefined;

  /** Whoever waits for the handshake to be over. */
  let securing: Waiter<BunHandshake> | undefined;
  let hold: "ref" | "unref" = "ref";
  let closing: Promise<void> | undefined;
  /** Closed in order: the socket only lingers, until this is called. */
  let released: (() => void) | undefined;
  let aborted: Failure | undefined;

  const stream: ByteStream = {
    get peer() {
      return peer;
    },

    unsent: (write) => (write === ownWrite ? queue.reduce((sum, { length }) => sum + length, 0) : undefined),

    read() {
      const chunk = chunks.shift();
      if (chunk !== undefined) {
        unread -= chunk.length;
        if (paused && unread < readAhead) resume();
        return Promise.resolve(chunk);
      }
      if (unreadable !== undefined) return Promise.reject(unreadable.reason);
      if (ended) return Promise.resolve(null);
      if (reader ?? securing) return Promise.reject(new Error("a read is already pending"));
      return new Promise((resolve, reject) => {
        reader = { resolve, reject };
      });
    },

    write(data) {
      if (unwritable !== undefined) return Promise.reject(unwritable.reason);
      if (data.length === 0) return undefined;
      if (queue.length > 0) {
        queue.push(data);
        return flushed?.promise;
      }
      const taken = current?.write(data) ?? -1;
      if (taken === data.length) return undefined;
      if (taken < 0) return Promise.reject(breakWriting(brokenPipe()));
      queue.push(data.subarray(taken));
      flushed = waiter();
      return flushed.promise;
    },

    async startTls(options) {
      try {
        checkUpgradable();
        await upgrade(options);
        throwIfAborted();
        unwritable = undefined;
      } catch (error) {
        // An abort during the handshake has set its reason, which counts.
        abort(error);
        throw aborted?.reason;
      } finally {
        securing = undefined;
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

  const handlers: Handlers = {
    binaryType: "uint8array",

    open(socket) {
      current = socket;
      if (hold === "unref") socket.unref();
      if (securing !== undefined) return;
      peer = peerInfo(endpoint, socket.remoteAddress, socket.localAddress);
    },

    data(socket, chunk) {
      if (socket !== current) return;
      const waiting = reader;
      if (waiting !== undefined) {
        reader = undefined;
        waiting.resolve(chunk);
      } else if (closing === undefined) {
        chunks.push(chunk);
        unread += chunk.length;
        if (paused || unread < readAhead) return;
        paused = true;
        socket.pause();
      }
    },

    drain(socket) {
      if (socket !== current) return;
      for (let next = queue[0]; next !== undefined; next = queue[0]) {
        const taken = socket.write(next);
        if (taken < 0) return void breakWriting(brokenPipe());
        if (taken < next.length) {
          queue[0] = next.subarray(taken);
          return;
        }
        queue.shift();
      }
      flushed?.resolve();
      flushed = undefined;
    },

    end(socket) {
      if (socket !== current) return leave();
      // After a write that failed, Bun reports the reset as an orderly end.
      if (unwritable !== undefined && closing === undefined) unreadable ??= unwritable;
      endReading();
    },

    close: lost,

    error(socket, error) {
      lost(socket, error);
      socket.terminate();
    },

    handshake(session, success, fault) {
      if (session === current) securing?.resolve({ session, success, error: fault });
    },
  };

  function lost(socket: Socket, error: Error | undefined): void {
    if (socket !== current) return leave();
    current = undefined;
    if (error !== undefined) unreadable ??= { reason: error };
    breakWriting(error ?? brokenPipe());
    endReading();
    securing?.reject(error);
  }

  function abort(reason: unknown = new Error("the connection was aborted")): void {
    if (aborted !== undefined) return;
    aborted = { reason };
    const socket = current;
    letGo(reason);
    socket?.terminate();
  }

  function setHold(how: "ref" | "unref"): void {
    hold = how;
    current?.[how]();
  }

  function resume(): void {
    paused = false;
    current?.resume();
  }

  function endReading(): void {
    ended = true;
    if (unreadable === undefined) reader?.resolve(null);
    else reader?.reject(unreadable.reason);
    reader = undefined;
  }

  /** Nothing more can be sent; what still comes can be read. */
  function breakWriting(reason: unknown): unknown {
    unwritable = { reason };
    queue.length = 0;
    flushed?.reject(reason);
    flushed = undefined;
    return reason;
  }

  /** Lets go of the socket: whoever waits is told the reason, what is queued or unread is forgotten. */
  function letGo(reason: unknown): void {
    current = undefined;
    chunks.length = 0;
    unreadable = { reason };
    breakWriting(reason);
    endReading();
    securing?.reject(reason);
  }

  function leave(): void {
    released?.();
    released = undefined;
  }

  function throwIfAborted(): void {
    if (aborted !== undefined) throw aborted.reason;
  }

  function checkUpgradable(): void {
    throwIfAborted();
    if (closing !== undefined) throw new Error("the stream is closed");
    if (securing !== undefined || peer.tls !== undefined) throw new Error("the stream speaks TLS already");
    if (reader !== undefined) throw new Error("a read is pending");
    checkAllRead();
  }

  function checkAllRead(): void {
    if (chunks.length > 0) throw new Error("bytes in clear are unread");
  }

  async function upgrade(options: TlsOptions & { servername: string }): Promise<void> {
    const done = waiter<BunHandshake>();
    securing = done;
    unwritable ??= { reason: new Error("the TLS handshake is under way") };
    // From here on what comes is for TLS to judge: it waits in the system while the code for that is loaded.
    current?.pause();
    await flushed?.promise;
    const { secure } = await import("./bun-tls.ts");
    checkAllRead();
    const tls = await secure(options, handlers, (asked) => {
      if (ended) done.reject(unreadable?.reason);
      current?.upgradeTLS(asked);
      resume();
      return done.promise;
    });
    peer = { ...peer, tls };
  }

  async function finish(): Promise<void> {
    if (securing !== undefined) abort(new Error("closed during the TLS handshake"));
    if (current === undefined) return;
    const closed = new Error("the stream is closed");
    unwritable = { reason: closed };
    chunks.length = 0;
    if (paused) resume();
    if (flushed !== undefined) await untilSent(flushed.promise, stream);
    const socket = current;
    const lingers = !ended;
    letGo(closed);
    socket?.shutdown();
    if (lingers && socket !== undefined) released = linger(socket, () => socket.end());
    else socket?.end();
  }

  return { stream, handlers };
}
