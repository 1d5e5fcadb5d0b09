/** Reads the chunks of a body that is not in memory. */
import { concat, utf8, wrongType } from "../core/bytes.ts";
import type { InContext } from "./caller-context.ts";

/** The chunks of a body, pulled one at a time. */
export type Chunks = {
  /** The next chunk; undefined at the end. Rejects with the source's own error. */
  next(): Promise<Uint8Array | undefined>;
  /** Releases the source. Never throws, never waits. */
  cancel(reason?: unknown): void;
};

/** Begins to read a Blob, a ReadableStream, or an iterable. `argument` names the body in errors about its chunks. */
export function chunksOf(body: object, argument = "a message"): Chunks {
  const text = new TextChunks(argument);
  if (body instanceof Blob) return streamChunks(body.stream(), text);
  if (isReadableStream(body)) return streamChunks(body, text);
  if (isAsyncIterable(body)) return iteratorChunks(body[Symbol.asyncIterator](), body, text);
  if (isIterable(body)) return iteratorChunks(body[Symbol.iterator](), body, text);
  throw wrongType("the message", "a source of chunks", body);
}

/** Errors about chunks that are neither strings nor bytes, as opposed to errors of the source. */
const wrongChunks = new WeakSet();

/** Whether an error says that a chunk is neither a string nor a Uint8Array. */
export function isWrongChunk(error: unknown): boolean {
  return typeof error === "object" && error !== null && wrongChunks.has(error);
}

function wrongChunk(chunk: unknown, argument: string): TypeError {
  const error = wrongType(`each chunk of ${argument}`, "a string or a Uint8Array", chunk);
  wrongChunks.add(error);
  return error;
}

/** Begins to read the source of content; the caller's code runs in the context of its own call. */
export function chunksWithin(
  { source, within }: { readonly source: object; readonly within: InContext },
  argument?: string,
): Chunks {
  const chunks = within(() => chunksOf(source, argument));
  return { next: () => within(chunks.next), cancel: (reason) => within(() => chunks.cancel(reason)) };
}

/** Releases an unread source. Never throws. */
export function giveUp(body: object): void {
  try {
    if (!destroyed(body) && !(body instanceof Blob)) chunksOf(body).cancel();
  } catch {
    // Its owner has to close it, e.g. a locked stream.
  }
}

/** The chunks as an iterator, whose `return()` releases the source at once, even while a chunk is awaited. */
export function chunkIterator(chunks: Chunks): AsyncIterator<Uint8Array, undefined> {
  return {
    async next() {
      const value = await chunks.next();
      return value === undefined ? { done: true, value } : { done: false, value };
    },
    async return() {
      chunks.cancel();
      return { done: true, value: undefined };
    },
  };
}

/**
 * Destroys a Node stream. Its iterator is a generator: `return()` closes nothing before the first chunk is requested,
 * nor while one is awaited.
 */
function destroyed(body: object): boolean {
  const destroy: unknown = Reflect.get(body, "destroy");
  if (typeof destroy !== "function") return false;
  destroy.call(body);
  return true;
}

/**
 * Uses a default reader, even for byte streams: a source that closes without answering a BYOB read would leave it
 * pending for ever, as sources written for default readers do. Blobs would be slower (measured on Node and Deno; Bun's
 * are no byte streams); only `readableWebStream()` of a file in Node, in pieces of 16 KiB, would be faster.
 */
function streamChunks(stream: ReadableStream<unknown>, text: TextChunks): Chunks {
  const reader = stream.getReader();
  return {
    async next() {
      const { done, value } = await reader.read();
      return done ? text.end() : text.bytesOf(value);
    },
    cancel: (reason) => void reader.cancel(reason).catch(() => {}),
  };
}

function iteratorChunks(iterator: Iterator<unknown> | AsyncIterator<unknown>, body: object, text: TextChunks): Chunks {
  return {
    async next() {
      const { done, value } = await iterator.next();
      return done ? text.end() : text.bytesOf(await value);
    },
    cancel: () => void giveBack(iterator, body),
  };
}

async function giveBack(iterator: Iterator<unknown> | AsyncIterator<unknown>, body: object): Promise<void> {
  try {
    if (!destroyed(body)) await iterator.return?.();
  } catch {
    // The caller already has an error; another from releasing the source adds nothing.
  }
}

/** Encodes text as UTF-8. A chunk may end inside a surrogate pair, which has a UTF-8 form only as a whole. */
class TextChunks {
  readonly #argument: string;
  #half = "";
  #ended = false;

  constructor(argument: string) {
    this.#argument = argument;
  }

  bytesOf(chunk: unknown): Uint8Array {
    if (chunk instanceof Uint8Array) return this.#half === "" ? chunk : concat([this.#rest(), chunk]);
    if (typeof chunk !== "string") throw wrongChunk(chunk, this.#argument);
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

function isReadableStream(body: object): body is ReadableStream<unknown> {
  return typeof Reflect.get(body, "getReader") === "function";
}

function isAsyncIterable(body: object): body is AsyncIterable<unknown> {
  return typeof Reflect.get(body, Symbol.asyncIterator) === "function";
}

function isIterable(body: object): body is Iterable<unknown> {
  return typeof Reflect.get(body, Symbol.iterator) === "function";
}
