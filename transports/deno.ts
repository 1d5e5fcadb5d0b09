/** The transport of Deno, on its own sockets: `Deno.connect` and `Deno.startTls`; `node:tls` does what that lacks. */
import type { ByteStream, ConnectOptions, Endpoint, PeerInfo, TlsOptions, Transport } from "../src/byte-stream.ts";
import type { DenoConnection, DenoRuntime } from "./deno-socket.ts";
import {
  checkUpgradable,
  closeGracefully,
  HIGH_WATER,
  LOW_WATER,
  peerInfo,
  ReadSide,
  refuseSourceAddress,
  untilSent,
  WriteQueue,
} from "./socket-stream.ts";
import { asciiName } from "./tls/options.ts";
import { type Failure, noop, raceAbort } from "./util.ts";

declare const Deno: Pick<DenoRuntime, "connect">;

/** The size of the buffer that a connection reads into. */
const readSize = 16 * 1024;

/**
 * Connects by `Deno.connect`, unencrypted; tries all addresses of a host (RFC 8305).
 *
 * `startTls` is Deno's own if that supports the options. It does not support a `ca` in place of Deno's own authorities,
 * client certificates, fingerprints, a minimum version or Unix sockets: for these, `node:tls` runs over the same
 * connection. Neither can set `ciphers` or `groups`: these throw a `TypeError`.
 *
 * Under `Deno.startTls` an abort rejects what is pending at once, but Deno keeps the socket until an unfinished
 * handshake or write ends, or the peer closes the connection.
 *
 * @throws TypeError for a `sourceAddress`, which Deno cannot choose: use the transport for Node, which works on Deno
 * @throws the reason of the signal, or Deno's own error
 */
export const connect: Transport = async (endpoint: Endpoint, options: ConnectOptions): Promise<ByteStream> => {
  const { signal } = options;
  signal?.throwIfAborted();
  refuseSourceAddress("Deno", options);
  const connecting = open(endpoint, signal);
  const connection = await raceAbort(connecting, signal, () => void connecting.then(release, noop));
  return new DenoStream(connection, peerInfo(endpoint, connection.remoteAddr.hostname, connection.localAddr.hostname));
};

async function open(endpoint: Endpoint, signal: AbortSignal | undefined): Promise<DenoConnection> {
  if ("path" in endpoint) return Deno.connect({ transport: "unix", path: endpoint.path });
  const { port } = endpoint;
  const hostname = asciiName(endpoint.host, "host");
  const connection = await Deno.connect({ hostname, port, ...(signal && { signal }) });
  connection.setNoDelay(true);
  return connection;
}

/** A connection of Deno as a `ByteStream`. */
class DenoStream implements ByteStream {
  #connection: DenoConnection;
  #peer: PeerInfo;
  readonly #buffer: Uint8Array;
  /** The TLS stream that took the connection over, if `node:tls` does TLS. */
  #upper: ByteStream | undefined;
  readonly #reading = new ReadSide();
  readonly #writing = new WriteQueue();
  #securing = false;
  #hold: "ref" | "unref" = "ref";
  #closing: Promise<void> | undefined;
  /** Releases a connection that was closed and waits for the peer's end. */
  #release: (() => void) | undefined;
  #aborted: Failure | undefined;
  readonly #ownWrite: ByteStream["write"];
  readonly #onRead = (length: number | null): void => this.#received(length);
  readonly #onReadError = (error: unknown): void => this.#readFailed(error);

  constructor(connection: DenoConnection, peer: PeerInfo, buffer: Uint8Array = new Uint8Array(readSize)) {
    this.#connection = connection;
    this.#peer = peer;
    this.#buffer = buffer;
    this.#ownWrite = this.write;
  }

  get peer(): PeerInfo {
    return this.#upper?.peer ?? this.#peer;
  }

  unsent(write: ByteStream["write"]): number | undefined {
    return write === this.#ownWrite && this.#upper === undefined ? this.#writing.size : undefined;
  }

  read(): Promise<Uint8Array | null> {
    if (this.#upper !== undefined) return this.#upper.read();
    const refusal = this.#reading.refusal(this.#securing);
    if (refusal !== undefined) return refusal;
    this.#receive();
    return this.#reading.wait();
  }

  write(data: Uint8Array): Promise<void> | undefined {
    if (this.#upper !== undefined) return this.#upper.write(data);
    const writing = this.#writing;
    if (writing.failure !== undefined) return Promise.reject(writing.failure.reason);
    if (data.length === 0) return undefined;
    const isSending = writing.size > 0;
    writing.push(data);
    if (!isSending) void this.#send();
    return writing.size <= HIGH_WATER ? undefined : writing.untilLow();
  }

  async startTls(options: TlsOptions & { servername: string }): Promise<void> {
    try {
      this.#checkUpgradable();
      this.#securing = true;
      this.#writing.failure ??= { reason: new Error("the TLS handshake is under way") };
      await this.#allSent();
      await this.#upgrade(options);
      this.#throwIfAborted();
      this.#writing.failure = undefined;
    } catch (error) {
      // The reason of an abort during the handshake takes precedence.
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
    if (this.#aborted !== undefined || this.#release !== undefined) return;
    this.#aborted = { reason };
    this.#upper?.abort(reason);
    this.#reading.failure = this.#aborted;
    this.#writing.fail(this.#aborted);
    this.#endReading();
    release(this.#connection);
  }

  ref(): void {
    this.#setHold("ref");
  }

  unref(): void {
    this.#setHold("unref");
  }

  #setHold(how: "ref" | "unref"): void {
    this.#hold = how;
    if (this.#aborted !== undefined || this.#release !== undefined) return;
    if (this.#upper === undefined) this.#connection[how]();
    else this.#upper[how]?.();
  }

  #receive(): void {
    this.#connection.read(this.#buffer).then(this.#onRead, this.#onReadError);
  }

  #received(length: number | null): void {
    if (length === null) {
      // After a failed write, Deno reports the reset as an orderly end.
      if (this.#closing === undefined) this.#reading.failure ??= this.#writing.failure;
      this.#endReading();
    } else if (this.#release !== undefined) {
      this.#receive();
    } else {
      this.#reading.receive(this.#buffer.subarray(0, length));
    }
  }

  #readFailed(error: unknown): void {
    this.#reading.failure ??= { reason: error };
    this.#writing.fail(this.#reading.failure);
    this.#endReading();
  }

  #endReading(): void {
    this.#reading.end();
    this.#release?.();
  }

  async #send(): Promise<void> {
    const writing = this.#writing;
    try {
      for (let next = writing.first; next !== undefined; next = writing.first) {
        const accepted = await this.#connection.write(next);
        // Empty if the stream was aborted meanwhile.
        if (writing.size === 0) return;
        writing.accepted(accepted);
        if (writing.size <= LOW_WATER) writing.drained();
      }
      writing.emptied();
    } catch (error) {
      if (this.#aborted === undefined) writing.fail({ reason: error });
    }
  }

  async #allSent(): Promise<void> {
    if (this.#writing.size > 0) await this.#writing.untilEmpty();
  }

  #throwIfAborted(): void {
    if (this.#aborted !== undefined) throw this.#aborted.reason;
  }

  /** Deno does not report unread bytes that arrived unencrypted; the handshake fails on them. */
  #checkUpgradable(): void {
    this.#throwIfAborted();
    if (this.#closing !== undefined) throw new Error("the stream is closed");
    checkUpgradable(this.#securing || this.peer.tls !== undefined, this.#reading);
  }

  async #upgrade(options: TlsOptions & { servername: string }): Promise<void> {
    // Bytes that arrive meanwhile stay with Deno, since nothing reads: TLS verifies them.
    const { closedBefore, layerTls, upgrade } = await import("./tls/deno.ts");
    this.#throwIfAborted();
    if (this.#reading.ended) throw closedBefore(options, this.#reading.failure?.reason);
    const tls = await upgrade(this.#connection, options, (secured) => {
      this.#connection = secured;
      if (this.#hold === "unref") secured.unref();
      if (this.#aborted !== undefined) release(secured);
    });
    if (tls !== undefined) {
      this.#peer = { ...this.#peer, tls };
      return;
    }
    const below = new DenoStream(this.#connection, this.#peer, this.#buffer);
    this.#upper = below;
    this.#upper = await layerTls(below, options);
  }

  async #finish(): Promise<void> {
    if (this.#securing) this.abort(new Error("closed during the TLS handshake"));
    if (this.#aborted !== undefined) return;
    if (this.#upper !== undefined) return this.#upper.close();
    const closed = { reason: new Error("the stream is closed") };
    const isOpen = this.#writing.failure === undefined;
    this.#writing.failure = closed;
    const sent = await untilSent(
      this.#allSent().then(() => (isOpen ? this.#connection.closeWrite() : undefined)),
      this,
    );
    if (this.#aborted !== undefined) return;
    const awaitsEnd = isOpen && sent && !this.#reading.ended;
    const isReceiving = this.#reading.isPending;
    this.#reading.failure ??= closed;
    this.#endReading();
    this.#release = () => release(this.#connection);
    if (!awaitsEnd) {
      this.#release();
      return;
    }
    this.#release = closeGracefully(this.#connection, this.#release);
    if (!isReceiving) this.#receive();
  }
}

function release(connection: DenoConnection): void {
  try {
    connection.close();
  } catch {
    // Already closed, or taken over by TLS.
  }
}
