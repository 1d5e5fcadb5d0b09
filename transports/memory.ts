/** Streams of bytes within the process, for tests: a pair of connected ends, and a transport that hands one out. */
import type { ByteStream, ConnectOptions, Endpoint, PeerInfo, Transport } from "../src/byte-stream.ts";
import { type PlainStream, upgradable } from "./upgradable.ts";

/** How the bytes between two ends travel. */
export type MemoryOptions = {
  /** The most octets that one read gives, or a function that says so anew for each. Default: as they were written. */
  chunkSize?: number | (() => number) | undefined;
  /** Octets that may be under way in each direction before a writer has to wait. Default: 65,536. */
  highWaterMark?: number | undefined;
};

/** One end of a pair: a `ByteStream` that can also end its own side alone. */
export interface MemoryStream extends ByteStream {
  /** Ends what this end sends: the other one reads null after it, and may still send. */
  end(): void;
}

/**
 * Two connected ends: what is written to one is read from the other, uncopied.
 * Closing ends both directions, aborting one end fails the other as a reset does: after what it can still read.
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
 * A transport whose server is a function: it gets the server's end of each new pair.
 * A rejection of it resets the connection; an error that it throws at once fails the connecting.
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

/** One end, in clear. */
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

type Waiter<T> = { resolve: (value: T) => void; reject: (reason: unknown) => void };

/** One direction: a bounded queue with at most one reader. */
class Pipe {
  /** Octets written and not read. */
  size = 0;
  readonly #options: MemoryOptions;
  readonly #queue: Uint8Array[] = [];
  #ended = false;
  #writeFailure: { reason: unknown } | undefined;
  #readFailure: { reason: unknown } | undefined;
  #reader: Waiter<Uint8Array | null> | undefined;
  #writers: Waiter<void>[] = [];

  constructor(options: MemoryOptions) {
    this.#options = options;
  }

  read(): Promise<Uint8Array | null> {
    if (this.#reader !== undefined) return Promise.reject(new Error("a read is already pending"));
    const chunk = this.#take();
    if (chunk !== undefined) return Promise.resolve(chunk);
    if (this.#readFailure !== undefined) return Promise.reject(this.#readFailure.reason);
    if (this.#ended) return Promise.resolve(null);
    return new Promise((resolve, reject) => {
      this.#reader = { resolve, reject };
    });
  }

  write(data: Uint8Array): Promise<void> | undefined {
    if (this.#writeFailure !== undefined) return Promise.reject(this.#writeFailure.reason);
    if (this.#ended) return Promise.reject(new Error("the stream is closed"));
    if (data.length === 0) return undefined;
    this.#queue.push(data);
    this.size += data.length;
    const reader = this.#reader;
    if (reader !== undefined) {
      this.#reader = undefined;
      reader.resolve(this.#take() ?? null);
    }
    return this.#hasRoom ? undefined : this.settled();
  }

  end(): void {
    this.#ended = true;
    this.#reader?.resolve(null);
    this.#reader = undefined;
  }

  /** Resolves when there is room again. */
  settled(): Promise<void> {
    if (this.#writeFailure !== undefined) return Promise.reject(this.#writeFailure.reason);
    if (this.#hasRoom) return Promise.resolve();
    return new Promise((resolve, reject) => this.#writers.push({ resolve, reject }));
  }

  /** The writer's side is gone: what is queued stays readable, and an end that was sent before counts. */
  fail(writeReason: unknown, readReason: unknown): void {
    this.#failWriter(writeReason);
    if (!this.#ended) this.#failReader(readReason);
  }

  /** The reader's side is gone, and what is queued with it. */
  abandon(readReason: unknown, writeReason: unknown): void {
    this.#queue.length = 0;
    this.size = 0;
    this.#failReader(readReason);
    this.#failWriter(writeReason);
  }

  #failReader(reason: unknown): void {
    this.#readFailure ??= { reason };
    this.#reader?.reject(this.#readFailure.reason);
    this.#reader = undefined;
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
