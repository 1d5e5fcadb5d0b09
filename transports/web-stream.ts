/** A pair of WHATWG streams as a stream of bytes in clear: what the transports on such pairs share. */
import type { PeerInfo } from "../src/byte-stream.ts";
import { type Failure, ignore, type Settle, untilSent, type Waiter, waiter } from "./native-sockets.ts";
import type { PlainStream } from "./upgradable.ts";

/** The two directions of a connection: what comes, and where to put what goes. */
export type StreamPair = {
  /** A `ReadableStream` of octets. */
  readonly readable: { getReader(): StreamReader };
  /** A `WritableStream` that takes octets. */
  readonly writable: { getWriter(): StreamWriter };
};

/** What of a `ReadableStreamDefaultReader` is used: the types of browsers and of Node do not fit each other as a whole. */
export type StreamReader = {
  read(): Promise<{ done: boolean; value?: Uint8Array | undefined }>;
  cancel(reason?: unknown): Promise<unknown>;
  releaseLock(): void;
};

/** What of a `WritableStreamDefaultWriter` is used. */
export type StreamWriter = {
  write(chunk: Uint8Array): Promise<unknown>;
  close(): Promise<unknown>;
  abort(reason?: unknown): Promise<unknown>;
  releaseLock(): void;
  readonly closed: Promise<unknown>;
};

/** The size of the one buffer that a stream of bytes reads into: that of a TLS record, as replies are short. */
const readSize = 16 * 1024;

/** Octets that may be under way before the writer has to wait, and at which it goes on. */
const freelyQueued = 256 * 1024;
const lowQueue = 64 * 1024;

/** One connection; it locks both streams. */
export class WebStream implements PlainStream {
  readonly peer: PeerInfo;
  readonly #source: Source;
  readonly #writer: StreamWriter;

  #reader: Settle<Uint8Array | null> | undefined;
  #receiving = false;
  #ended = false;
  #unreadable: Failure | undefined;

  /** Octets that the other side of `writable` has not taken yet; whoever waits for few of them, and for none. */
  #queued = 0;
  #low: Waiter<void> | undefined;
  #empty: Waiter<void> | undefined;
  #unwritable: Failure | undefined;
  #closing: Promise<void> | undefined;
  readonly #aborted: Waiter<void> = waiter();

  /**
   * Takes over the pair.
   *
   * @throws TypeError where one of the streams is locked
   */
  constructor({ readable, writable }: StreamPair, peer: PeerInfo) {
    this.peer = peer;
    this.#source = sourceOf(readable);
    this.#writer = writable.getWriter();
    this.#writer.closed.catch((error) => this.#breakWriting(error));
  }

  read(): Promise<Uint8Array | null> {
    if (this.#unreadable !== undefined) return Promise.reject(this.#unreadable.reason);
    if (this.#ended) return Promise.resolve(null);
    if (this.#reader !== undefined || this.#receiving) return Promise.reject(new Error("a read is already pending"));
    return new Promise((resolve, reject) => {
      this.#reader = { resolve, reject };
      void this.#receive();
    });
  }

  write(data: Uint8Array): Promise<void> | undefined {
    if (this.#unwritable !== undefined) return Promise.reject(this.#unwritable.reason);
    if (data.length === 0) return undefined;
    this.#queued += data.length;
    this.#writer.write(data).then(
      () => this.#sent(data.length),
      (error) => this.#breakWriting(error),
    );
    if (this.#queued <= freelyQueued) return undefined;
    this.#low ??= waiter();
    return this.#low.promise;
  }

  /** Resolves when all is sent that was written. */
  async untilSent(): Promise<void> {
    if (this.#unwritable !== undefined) throw this.#unwritable.reason;
    if (this.#queued === 0) return;
    this.#empty ??= waiter();
    await this.#empty.promise;
  }

  /**
   * Gives the streams back, unlocked.
   *
   * @throws Error while somebody reads
   */
  release(): void {
    if (this.#receiving) throw new Error("a read is pending");
    this.#source.reader.releaseLock();
    this.#writer.releaseLock();
  }

  close(): Promise<void> {
    this.#closing ??= this.#finish();
    return this.#closing;
  }

  abort(reason: unknown = new Error("the connection was aborted")): void {
    // The first reason counts; a closed stream has one already.
    this.#unreadable ??= { reason };
    this.#breakWriting(this.#unreadable.reason);
    this.#endReading();
    this.#aborted.resolve();
    this.#writer.abort(reason).catch(ignore);
    this.#source.reader.cancel(reason).catch(ignore);
  }

  async #receive(): Promise<void> {
    this.#receiving = true;
    try {
      let chunk = await this.#source.next();
      while (chunk?.length === 0) chunk = await this.#source.next();
      this.#receiving = false;
      const reader = this.#reader;
      if (chunk === null || reader === undefined) {
        this.#endReading();
        return;
      }
      this.#reader = undefined;
      reader.resolve(chunk);
    } catch (error) {
      this.#receiving = false;
      this.#unreadable ??= { reason: error };
      this.#breakWriting(this.#unreadable.reason);
      this.#endReading();
    }
  }

  #endReading(): void {
    this.#ended = true;
    if (this.#unreadable === undefined) this.#reader?.resolve(null);
    else this.#reader?.reject(this.#unreadable.reason);
    this.#reader = undefined;
  }

  #sent(length: number): void {
    this.#queued -= length;
    if (this.#queued <= lowQueue) {
      this.#low?.resolve();
      this.#low = undefined;
    }
    if (this.#queued > 0) return;
    this.#empty?.resolve();
    this.#empty = undefined;
  }

  /** Nothing more can be sent; what still comes can be read. */
  #breakWriting(reason: unknown): void {
    this.#unwritable ??= { reason };
    this.#low?.reject(this.#unwritable.reason);
    this.#low = undefined;
    this.#empty?.reject(this.#unwritable.reason);
    this.#empty = undefined;
  }

  async #finish(): Promise<void> {
    if (this.#unreadable !== undefined) return;
    const closed = new Error("the stream is closed");
    const sending = this.#unwritable === undefined ? this.#writer.close() : Promise.resolve();
    // A write that fails from here on is told by `close` of the writer.
    this.#unwritable ??= { reason: closed };
    await untilSent(Promise.race([sending, this.#aborted.promise]), this);
    this.#unreadable ??= { reason: closed };
    this.#endReading();
    this.#breakWriting(closed);
    this.#source.reader.cancel(closed).catch(ignore);
  }
}

/** Where chunks come from. */
type Source = {
  readonly reader: Pick<StreamReader, "cancel" | "releaseLock">;
  /** The next chunk, valid until the next call; null at the end. */
  next(): Promise<Uint8Array | null>;
};

/**
 * Streams of bytes are read into one buffer, which goes forth and back: with those of a Deno socket an exchange takes
 * half of the time that it takes with a buffer for each read. Other streams give chunks of their own.
 */
function sourceOf(readable: StreamPair["readable"]): Source {
  const intoBuffer = bufferReaderOf(readable);
  if (intoBuffer === undefined) {
    const reader = readable.getReader();
    return { reader, next: async () => (await reader.read()).value ?? null };
  }
  let buffer = new ArrayBuffer(readSize);
  return {
    reader: intoBuffer,
    next: async () => {
      const { value, done } = await intoBuffer.read(new Uint8Array(buffer));
      if (done || value === undefined) return null;
      buffer = value.buffer;
      return new Uint8Array(buffer, value.byteOffset, value.byteLength);
    },
  };
}

function bufferReaderOf(readable: StreamPair["readable"]): ReadableStreamBYOBReader | undefined {
  if (!(readable instanceof ReadableStream)) return undefined;
  try {
    return readable.getReader({ mode: "byob" });
  } catch {
    return undefined; // no stream of bytes, or locked: then the other reader is refused, too
  }
}
