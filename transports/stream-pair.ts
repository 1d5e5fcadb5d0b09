/** A pair of WHATWG streams as an unencrypted stream of bytes: the base of web-streams.ts and workers.ts. */
import type { PeerInfo } from "../src/byte-stream.ts";
import { HIGH_WATER, LOW_WATER, ReadSide, untilSent, WriteSide } from "./socket-stream.ts";
import type { PlainStream } from "./tls/upgradable.ts";
import { type Deferred, deferred, noop } from "./util.ts";

/** The two directions of a connection. */
export type StreamPair = {
  /** A `ReadableStream` of bytes. */
  readonly readable: { getReader(): StreamReader };
  /** A `WritableStream` of bytes. */
  readonly writable: { getWriter(): StreamWriter };
};

/**
 * The used parts of a `ReadableStreamDefaultReader`: the types of browsers and of Node are not assignable to each
 * other.
 */
export type StreamReader = {
  read(): Promise<{ done: boolean; value?: Uint8Array | undefined }>;
  cancel(reason?: unknown): Promise<unknown>;
  releaseLock(): void;
};

/** The used parts of a `WritableStreamDefaultWriter`. */
export type StreamWriter = {
  write(chunk: Uint8Array): Promise<unknown>;
  close(): Promise<unknown>;
  abort(reason?: unknown): Promise<unknown>;
  releaseLock(): void;
  readonly closed: Promise<unknown>;
};

/** The size of the buffer that a byte stream reads into: that of a TLS record, since replies are short. */
const readSize = 16 * 1024;

/** One connection; it locks both streams. */
export class WebStream implements PlainStream {
  readonly peer: PeerInfo;
  readonly #source: Source;
  readonly #writer: StreamWriter;

  readonly #reading = new ReadSide();
  /** True while the source is producing a chunk, even after the read that requested it was rejected. */
  #isReceiving = false;
  readonly #writing = new WriteSide();
  /** Bytes that the consumer of `writable` has not accepted yet. */
  #queued = 0;
  #closing: Promise<void> | undefined;
  readonly #aborted: Deferred<void> = deferred();

  /**
   * Takes over the pair.
   *
   * @throws TypeError if one of the streams is locked
   */
  constructor({ readable, writable }: StreamPair, peer: PeerInfo) {
    this.peer = peer;
    this.#source = sourceOf(readable);
    this.#writer = writable.getWriter();
    this.#writer.closed.catch((error) => this.#breakWriting(error));
  }

  read(): Promise<Uint8Array | null> {
    const refusal = this.#reading.refusal(this.#isReceiving);
    if (refusal !== undefined) return refusal;
    void this.#receive();
    return this.#reading.wait();
  }

  write(data: Uint8Array): Promise<void> | undefined {
    if (this.#writing.failure !== undefined) return Promise.reject(this.#writing.failure.reason);
    if (data.length === 0) return undefined;
    this.#queued += data.length;
    this.#writer.write(data).then(
      () => this.#sent(data.length),
      (error) => this.#breakWriting(error),
    );
    return this.#queued <= HIGH_WATER ? undefined : this.#writing.untilLow();
  }

  /** Resolves when all written bytes are sent. */
  async untilSent(): Promise<void> {
    if (this.#writing.failure !== undefined) throw this.#writing.failure.reason;
    if (this.#queued > 0) await this.#writing.untilEmpty();
  }

  /**
   * Unlocks the streams.
   *
   * @throws Error while a read is pending
   */
  release(): void {
    if (this.#isReceiving) throw new Error("a read is pending");
    this.#source.reader.releaseLock();
    this.#writer.releaseLock();
  }

  close(): Promise<void> {
    this.#closing ??= this.#finish();
    return this.#closing;
  }

  abort(reason: unknown = new Error("the connection was aborted")): void {
    // The first reason counts; a closed stream has one already.
    this.#breakReading(reason);
    this.#aborted.resolve();
    this.#writer.abort(reason).catch(noop);
    this.#source.reader.cancel(reason).catch(noop);
  }

  async #receive(): Promise<void> {
    this.#isReceiving = true;
    try {
      let chunk = await this.#source.next();
      while (chunk?.length === 0) chunk = await this.#source.next();
      this.#isReceiving = false;
      if (chunk === null || !this.#reading.receive(chunk)) this.#reading.end();
    } catch (error) {
      this.#isReceiving = false;
      this.#breakReading(error);
    }
  }

  #sent(length: number): void {
    this.#queued -= length;
    if (this.#queued <= LOW_WATER) this.#writing.drained();
    if (this.#queued === 0) this.#writing.emptied();
  }

  /** Ends both directions. */
  #breakReading(reason: unknown): void {
    this.#reading.failure ??= { reason };
    this.#breakWriting(this.#reading.failure.reason);
    this.#reading.end();
  }

  /** Nothing more can be sent; bytes that still arrive can be read. */
  #breakWriting(reason: unknown): void {
    this.#writing.fail(this.#writing.failure ?? { reason });
  }

  async #finish(): Promise<void> {
    if (this.#reading.failure !== undefined) return;
    const closed = new Error("the stream is closed");
    const sending = this.#writing.failure === undefined ? this.#writer.close() : Promise.resolve();
    // `close` of the writer reports a write that fails from here on.
    this.#writing.failure ??= { reason: closed };
    await untilSent(Promise.race([sending, this.#aborted.promise]), this);
    this.#breakReading(closed);
    this.#source.reader.cancel(closed).catch(noop);
  }
}

/** A source of chunks. */
type Source = {
  readonly reader: Pick<StreamReader, "cancel" | "releaseLock">;
  /** The next chunk, valid until the next call; null at the end. */
  next(): Promise<Uint8Array | null>;
};

/**
 * Reads byte streams into one buffer that is passed back and forth: with the streams of a Deno socket this halves the
 * time of an exchange, compared with a buffer for each read. Other streams return their own chunks.
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
    return undefined; // not a byte stream, or locked: then the other reader is refused as well
  }
}
