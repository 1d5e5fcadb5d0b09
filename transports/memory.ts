/** In-memory byte streams, for tests: a pair of connected ends, and a transport whose server is a function. */
import type { ByteStream, ConnectOptions, Endpoint, PeerInfo, Transport } from "../src/byte-stream.ts";
import { ReadSide } from "./socket-stream.ts";
import { type PlainStream, upgradable } from "./tls/upgradable.ts";
import type { Failure, Resolvers } from "./util.ts";

/** Options of a pair of memory streams. */
export type MemoryOptions = {
  /**
   * The maximum number of bytes that one read returns, or a function that returns it for each read. Default: as
   * written.
   */
  chunkSize?: number | (() => number) | undefined;
  /** Unread bytes in each direction at which a writer has to wait. Default: 65,536. */
  highWaterMark?: number | undefined;
};

/** One end of a pair: a `ByteStream` that can also end only its own direction. */
export interface MemoryStream extends ByteStream {
  /** Ends this direction: the other end reads `null` after the bytes, and may still send. */
  end(): void;
}

/**
 * Returns two connected ends: bytes written to one are read from the other, without a copy.
 * Closing ends both directions. Aborting one end fails the other like a reset, after the bytes that it can still read.
 *
 * @example
 * ```ts
 * const [client, server] = createMemoryPair({ chunkSize: 1 });
 * client.write(new TextEncoder().encode("NOOP\r\n"));
 * await server.read(); // "N"
 * ```
 */
export function createMemoryPair(options: MemoryOptions = {}): [client: MemoryStream, server: MemoryStream] {
  const there = new Pipe(options);
  const back = new Pipe(options);
  return [memoryStream(new End(back, there)), memoryStream(new End(there, back))];
}

/**
 * Returns a transport whose server is a function, which gets the server's end of each new pair.
 * If its promise rejects, the connection is reset; if it throws, connecting fails.
 *
 * @example
 * ```ts
 * const transport = memoryTransport(async (server) => {
 *   await server.write(new TextEncoder().encode("421 closed for today\r\n"));
 *   await server.close();
 * });
 * ```
 */
export function memoryTransport(
  onConnect: (server: MemoryStream, endpoint: Endpoint) => void | Promise<void>,
  options: MemoryOptions = {},
): Transport {
  return async (endpoint: Endpoint, { signal }: ConnectOptions): Promise<ByteStream> => {
    signal?.throwIfAborted();
    const [client, server] = createMemoryPair(options);
    const served = onConnect(server, endpoint);
    served?.catch((reason: unknown) => server.abort(reason));
    return client;
  };
}

const closeTimeout = 2_000;

const peer: PeerInfo = { remoteAddress: undefined, localAddress: undefined, loopback: true, tls: undefined };

function memoryStream(end: End): MemoryStream {
  return Object.assign(upgradable(end), { end: () => end.end() });
}

/** One end, without TLS. */
class End implements PlainStream {
  readonly peer: PeerInfo = peer;
  readonly #incoming: Pipe;
  readonly #outgoing: Pipe;
  #closing: Promise<void> | undefined;

  constructor(incoming: Pipe, outgoing: Pipe) {
    this.#incoming = incoming;
    this.#outgoing = outgoing;
  }

  get unread(): number {
    return this.#incoming.size;
  }

  read(): Promise<Uint8Array | null> {
    return this.#incoming.read();
  }

  write(data: Uint8Array): Promise<void> | undefined {
    return this.#outgoing.write(data);
  }

  end(): void {
    this.#outgoing.end();
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  abort(reason: unknown = new Error("the connection was aborted")): void {
    this.#incoming.abandon(reason, systemError("ECONNRESET", "the peer reset the connection"));
    this.#outgoing.fail(reason, systemError("ECONNRESET", "the peer reset the connection"));
  }

  async #close(): Promise<void> {
    this.#outgoing.end();
    const timer = setTimeout(
      () => this.abort(new Error("the connection was closed before all was sent")),
      closeTimeout,
    );
    await this.#outgoing.settled().catch(() => {});
    clearTimeout(timer);
    this.#incoming.abandon(
      new Error("the stream is closed"),
      systemError("EPIPE", "the peer has closed the connection"),
    );
  }
}

function systemError(code: string, message: string): Error {
  return Object.assign(new Error(message), { code });
}

/** One direction: a bounded queue with at most one reader. */
class Pipe {
  /** Bytes written and not read. */
  size = 0;
  readonly #options: MemoryOptions;
  readonly #queue: Uint8Array[] = [];
  readonly #reading = new ReadSide();
  #writeFailure: Failure | undefined;
  #writers: Resolvers<void>[] = [];

  constructor(options: MemoryOptions) {
    this.#options = options;
  }

  read(): Promise<Uint8Array | null> {
    const chunk = this.#take();
    if (chunk !== undefined) return Promise.resolve(chunk);
    return this.#reading.refusal() ?? this.#reading.wait();
  }

  write(data: Uint8Array): Promise<void> | undefined {
    if (this.#writeFailure !== undefined) return Promise.reject(this.#writeFailure.reason);
    if (this.#reading.ended) return Promise.reject(new Error("the stream is closed"));
    if (data.length === 0) return undefined;
    this.#queue.push(data);
    this.size += data.length;
    const next = this.#reading.isPending ? this.#take() : undefined;
    if (next !== undefined) this.#reading.receive(next);
    return this.#hasRoom ? undefined : this.settled();
  }

  end(): void {
    this.#reading.end();
  }

  /** Resolves when there is room again. */
  settled(): Promise<void> {
    if (this.#writeFailure !== undefined) return Promise.reject(this.#writeFailure.reason);
    if (this.#hasRoom) return Promise.resolve();
    return new Promise((resolve, reject) => this.#writers.push({ resolve, reject }));
  }

  /** The writing end was aborted: queued bytes stay readable, and an end that was sent before counts. */
  fail(writeReason: unknown, readReason: unknown): void {
    this.#failWriter(writeReason);
    if (!this.#reading.ended) this.#reading.fail(readReason);
  }

  /** The reading end was aborted: drops the queued bytes. */
  abandon(readReason: unknown, writeReason: unknown): void {
    this.#queue.length = 0;
    this.size = 0;
    this.#reading.fail(readReason);
    this.#failWriter(writeReason);
  }

  #failWriter(reason: unknown): void {
    this.#writeFailure ??= { reason };
    for (const writer of this.#writers.splice(0)) writer.reject(this.#writeFailure.reason);
  }

  get #hasRoom(): boolean {
    return this.size <= (this.#options.highWaterMark ?? 65_536);
  }

  #take(): Uint8Array | undefined {
    const [head] = this.#queue;
    if (head === undefined) return undefined;
    const { chunkSize = head.length } = this.#options;
    const length = Math.max(1, typeof chunkSize === "function" ? chunkSize() : chunkSize);
    const chunk = head.subarray(0, length);
    if (chunk.length === head.length) this.#queue.shift();
    else this.#queue[0] = head.subarray(length);
    this.size -= chunk.length;
    if (this.#hasRoom) for (const writer of this.#writers.splice(0)) writer.resolve();
    return chunk;
  }
}
