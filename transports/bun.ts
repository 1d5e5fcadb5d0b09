/** The transport of Bun, on its own sockets: `Bun.connect`, and `upgradeTLS` for every option of TLS. */
import type { ByteStream, ConnectOptions, Endpoint, TlsOptions, Transport } from "../src/byte-stream.ts";
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
  const { stream, handlers } = bunStream(endpoint);
  const to = "path" in endpoint ? { unix: endpoint.path } : { hostname: endpoint.host, port: endpoint.port };
  const connecting = Bun.connect({ ...to, allowHalfOpen: true, socket: handlers });
  await orAborted(connecting, signal, (reason) => stream.abort(reason));
  return stream;
};

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
      // Aborted while connecting: nobody waits for this connection any more.
      if (aborted !== undefined) {
        socket.terminate();
        return;
      }
      current = socket;
      if (hold === "unref") socket.unref();
      if (securing !== undefined) return;
      socket.setNoDelay(true);
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
