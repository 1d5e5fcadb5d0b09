/** Any body -> what is known of it beforehand, and its chunks. */

import { measure } from "../core/body.ts";
import { utf8, wrongType } from "../core/bytes.ts";

/** A message as `sendmail` and `data` take it. Text becomes UTF-8; a chunk that was yielded belongs to us. */
export type Body =
  | string
  | Uint8Array
  | Blob
  | Iterable<Uint8Array | string>
  | AsyncIterable<Uint8Array | string>
  | ReadableStream<Uint8Array>;

/** A body that has been looked at. Either all of it is in memory, or it comes in chunks. */
export type Content =
  | { readonly bytes: Uint8Array; readonly octets: number; readonly eightBit: boolean }
  | {
      readonly bytes: undefined;
      readonly octets: undefined;
      readonly eightBit: undefined;
      readonly chunks: () => Chunks;
    };

/** The chunks of a body, pulled one at a time. */
export type Chunks = {
  /** The next chunk; undefined at the end. Rejects with the source's own error. */
  next(): Promise<Uint8Array | undefined>;
  /** No more is wanted. Never throws, never waits. */
  cancel(reason?: unknown): void;
};

/**
 * Looks at a body.
 * @throws {TypeError} naming the argument, if it is nothing that can be sent
 */
export function contentOf(body: unknown, argument: string): Content {
  if (typeof body === "string") {
    const bytes = utf8(body);
    // Every character over 127 takes more octets than it has UTF-16 units.
    return { bytes, octets: measure(bytes).octets, eightBit: bytes.length !== body.length };
  }
  if (body instanceof Uint8Array) return { bytes: body, ...measure(body) };
  const chunks = chunksOf(body);
  if (chunks !== undefined) return { bytes: undefined, octets: undefined, eightBit: undefined, chunks };
  const what = "a string, a Uint8Array, a Blob, a ReadableStream or an iterable of strings or Uint8Arrays";
  throw wrongType(argument, what, body);
}

function chunksOf(body: unknown): (() => Chunks) | undefined {
  if (isBlob(body)) return () => streamChunks(body.stream());
  if (isReadableStream(body)) return () => streamChunks(body);
  if (isAsyncIterable(body)) return () => iteratorChunks(body[Symbol.asyncIterator]());
  if (isIterable(body)) return () => iteratorChunks(body[Symbol.iterator]());
  return undefined;
}

function streamChunks(stream: ReadableStream<unknown>): Chunks {
  const reader = stream.getReader();
  const text = new TextChunks();
  return {
    async next() {
      const { done, value } = await reader.read();
      return done ? text.end() : text.bytesOf(value);
    },
    cancel: (reason) => void reader.cancel(reason).catch(() => {}),
  };
}

function iteratorChunks(iterator: Iterator<unknown> | AsyncIterator<unknown>): Chunks {
  const text = new TextChunks();
  return {
    async next() {
      const { done, value } = await iterator.next();
      return done ? text.end() : text.bytesOf(await value);
    },
    cancel: () => void giveBack(iterator),
  };
}

async function giveBack(iterator: Iterator<unknown> | AsyncIterator<unknown>): Promise<void> {
  try {
    await iterator.return?.();
  } catch {
    // The caller already has an error; what the source says to being given up adds nothing.
  }
}

/** Chunks of text may be cut inside of a surrogate pair, which has a UTF-8 form only as a whole. */
class TextChunks {
  #half = "";
  #ended = false;

  bytesOf(chunk: unknown): Uint8Array {
    if (chunk instanceof Uint8Array) return this.#half === "" ? chunk : joined(this.#rest(), chunk);
    if (typeof chunk !== "string") throw wrongType("each chunk of a message", "a string or a Uint8Array", chunk);
    const text = this.#half + chunk;
    const cut = /[\uD800-\uDBFF]$/.test(text) ? text.length - 1 : text.length;
    this.#half = text.slice(cut);
    return utf8(text.slice(0, cut));
  }

  end(): Uint8Array | undefined {
    if (this.#ended || this.#half === "") return undefined;
    this.#ended = true;
    return this.#rest();
  }

  #rest(): Uint8Array {
    const rest = utf8(this.#half);
    this.#half = "";
    return rest;
  }
}

function joined(first: Uint8Array, second: Uint8Array): Uint8Array {
  const both = new Uint8Array(first.length + second.length);
  both.set(first);
  both.set(second, first.length);
  return both;
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}

function isBlob(value: unknown): value is Blob {
  return typeof Blob !== "undefined" && value instanceof Blob;
}

function isReadableStream(value: unknown): value is ReadableStream<unknown> {
  return isObject(value) && "getReader" in value && typeof value.getReader === "function";
}

function isAsyncIterable(value: unknown): value is AsyncIterable<unknown> {
  return isObject(value) && Symbol.asyncIterator in value && typeof value[Symbol.asyncIterator] === "function";
}

function isIterable(value: unknown): value is Iterable<unknown> {
  return isObject(value) && Symbol.iterator in value && typeof value[Symbol.iterator] === "function";
}
