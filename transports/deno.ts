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
import { asciiName } from "./tls-options.ts";

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
  return denoStream(connection, peerInfo(endpoint, connection.remoteAddr.hostname, connection.localAddr.hostname));
};

async function open(endpoint: Endpoint, signal: AbortSignal | undefined): Promise<DenoConnection> {
  if ("path" in endpoint) return Deno.connect({ transport: "unix", path: endpoint.path });
  const { port } = endpoint;
  const hostname = asciiName(endpoint.host, "host");
  const connection = await Deno.connect({ hostname, port, ...(signal && { signal }) });
  connection.setNoDelay(true);
  return connection;
}

/** Its state is in variables rather than in private fields, which no bundler can shorten as well. */
function denoStream(connected: DenoConnection, ends: PeerInfo, buffer = new Uint8Array(readSize)): ByteStream {
  let peer = ends;
  let connection = connected;
  /** What took the connection over, where `node:tls` speaks TLS. */
  let upper: ByteStream | undefined;

  let reader: Settle<Uint8Array | null> | undefined;
  let ended = false;
  let unreadable: Failure | undefined;

  const queue: Uint8Array[] = [];
  let queued = 0;
  /** Whoever waits until the queue is low, and until it is empty. */
  let low: Waiter<void> | undefined;
  let empty: Waiter<void> | undefined;
  let unwritable: Failure | undefined;

  let securing = false;
  let hold: "ref" | "unref" = "ref";
  let closing: Promise<void> | undefined;
  /** Closed in order: the connection only lingers, until this is called. */
  let released: (() => void) | undefined;
  let aborted: Failure | undefined;

  const stream: ByteStream = {
    get peer() {
      return upper?.peer ?? peer;
    },

    unsent: (write) => (write === ownWrite && upper === undefined ? queued : undefined),

    read() {
      if (upper !== undefined) return upper.read();
      if (unreadable !== undefined) return Promise.reject(unreadable.reason);
      if (ended) return Promise.resolve(null);
      if (reader !== undefined || securing) return Promise.reject(new Error("a read is already pending"));
      return new Promise((resolve, reject) => {
        reader = { resolve, reject };
        receive();
      });
    },

    write(data) {
      if (upper !== undefined) return upper.write(data);
      if (unwritable !== undefined) return Promise.reject(unwritable.reason);
      if (data.length === 0) return undefined;
      queued += data.length;
      if (queue.push(data) === 1) void send();
      if (queued <= freelyQueued) return undefined;
      low ??= waiter();
      return low.promise;
    },

    async startTls(options) {
      try {
        checkUpgradable();
        securing = true;
        unwritable ??= { reason: new Error("the TLS handshake is under way") };
        await allSent();
        await upgradeTo(options);
        throwIfAborted();
        unwritable = undefined;
      } catch (error) {
        // An abort during the handshake has set its reason, which counts.
        abort(error);
        throw aborted?.reason ?? error;
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

  function abort(reason: unknown = new Error("the connection was aborted")): void {
    if (aborted !== undefined || released !== undefined) return;
    aborted = { reason };
    upper?.abort(reason);
    unreadable = aborted;
    breakWriting(reason);
    endReading();
    release(connection);
  }

  function setHold(how: "ref" | "unref"): void {
    hold = how;
    if (aborted !== undefined || released !== undefined) return;
    if (upper === undefined) connection[how]();
    else upper[how]?.();
  }

  function receive(): void {
    connection.read(buffer).then(onRead, onReadError);
  }

  function onRead(length: number | null): void {
    if (length === null) {
      // After a write that failed, Deno reports the reset as an orderly end.
      if (unwritable !== undefined && closing === undefined) unreadable ??= unwritable;
      endReading();
    } else if (released !== undefined) {
      receive();
    } else {
      const waiting = reader;
      reader = undefined;
      waiting?.resolve(buffer.subarray(0, length));
    }
  }

  function onReadError(error: unknown): void {
    unreadable ??= { reason: error };
    breakWriting(unreadable.reason);
    endReading();
  }

  function endReading(): void {
    ended = true;
    if (unreadable === undefined) reader?.resolve(null);
    else reader?.reject(unreadable.reason);
    reader = undefined;
    released?.();
  }

  async function send(): Promise<void> {
    try {
      for (let next = queue[0]; next !== undefined; next = queue[0]) {
        const taken = await connection.write(next);
        // Empty again where the stream was aborted meanwhile.
        if (queue.length === 0) return;
        queued -= taken;
        if (taken < next.length) queue[0] = next.subarray(taken);
        else queue.shift();
        if (queued > lowQueue) continue;
        low?.resolve();
        low = undefined;
      }
      empty?.resolve();
      empty = undefined;
    } catch (error) {
      if (aborted === undefined) breakWriting(error);
    }
  }

  /** Nothing more can be sent; what still comes can be read. */
  function breakWriting(reason: unknown): void {
    unwritable = { reason };
    queue.length = 0;
    queued = 0;
    low?.reject(reason);
    low = undefined;
    empty?.reject(reason);
    empty = undefined;
  }

  async function allSent(): Promise<void> {
    if (queue.length === 0) return;
    empty ??= waiter();
    await empty.promise;
  }

  function throwIfAborted(): void {
    if (aborted !== undefined) throw aborted.reason;
  }

  /** Whether bytes in clear have come that nobody has read, Deno does not tell; the handshake fails on them. */
  function checkUpgradable(): void {
    throwIfAborted();
    if (closing !== undefined) throw new Error("the stream is closed");
    if (securing || stream.peer.tls !== undefined) throw new Error("the stream speaks TLS already");
    if (reader !== undefined) throw new Error("a read is pending");
  }

  async function upgradeTo(options: TlsOptions & { servername: string }): Promise<void> {
    // What comes meanwhile stays with Deno, as nobody reads: TLS will judge it.
    const { closedBefore, layerTls, upgrade } = await import("./deno-tls.ts");
    throwIfAborted();
    if (ended) throw closedBefore(options, unreadable?.reason);
    const tls = await upgrade(connection, options, (secured) => {
      connection = secured;
      if (hold === "unref") secured.unref();
      if (aborted !== undefined) release(secured);
    });
    if (tls !== undefined) {
      peer = { ...peer, tls };
      return;
    }
    const below = denoStream(connection, peer, buffer);
    upper = below;
    upper = await layerTls(below, options);
  }

  async function finish(): Promise<void> {
    if (securing) abort(new Error("closed during the TLS handshake"));
    if (aborted !== undefined) return;
    if (upper !== undefined) return upper.close();
    const closed = { reason: new Error("the stream is closed") };
    const open = unwritable === undefined;
    unwritable = closed;
    const sent = await untilSent(
      allSent().then(() => (open ? connection.closeWrite() : undefined)),
      stream,
    );
    if (aborted !== undefined) return;
    const lingers = open && sent && !ended;
    const receiving = reader !== undefined;
    unreadable ??= closed;
    endReading();
    released = () => release(connection);
    if (!lingers) {
      released();
      return;
    }
    released = linger(connection, released);
    if (!receiving) receive();
  }

  return stream;
}

function release(connection: DenoConnection): void {
  try {
    connection.close();
  } catch {
    // Closed already, or on its way into TLS.
  }
}
