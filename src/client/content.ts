/** Any body -> what is known of it beforehand; `chunks.ts` reads those that are not in memory. */
import { measure } from "../core/body.ts";

import { kindOf, utf8 } from "../core/bytes.ts";
import { callerContext, type InContext } from "./caller-context.ts";

import { giveUp } from "./chunks.ts";

/** A message as `sendmail` and `data` take it. Text becomes UTF-8; a chunk that was yielded belongs to us. */
export type Body =
  | string
  | Uint8Array
  | Blob
  | Iterable<Uint8Array | string>
  | AsyncIterable<Uint8Array | string>
  | ReadableStream<Uint8Array>;

/** A body that has been looked at. Either all of it is in memory, or `source` gives it in chunks. */
export type Content =
  | {
      readonly bytes: Uint8Array;
      readonly octets: number;
      readonly eightBit: boolean;
      /** How many lines begin with a dot; undefined: not counted. */
      readonly dots: number | undefined;
      readonly hiddenEnd: boolean;
      /** True once a first piece of it was sent; where all of it goes in one write, nobody asks. */
      begun?: boolean;
    }
  | {
      readonly bytes?: undefined;
      readonly octets?: undefined;
      readonly eightBit?: undefined;
      readonly dots?: undefined;
      readonly hiddenEnd?: undefined;
      readonly source: object;
      /** The context of the call that brought it. */
      readonly within: InContext;
      /** True once the source was asked for a chunk, or given back. */
      begun: boolean;
    };

/**
 * Looks at a body.
 * @throws {TypeError} naming the argument, if it is nothing that can be sent
 */
export function contentOf(body: unknown, argument: string): Content {
  const bytes = typeof body === "string" ? utf8(body) : body;
  if (bytes instanceof Uint8Array) {
    const { octets, eightBit, dots, hiddenEnd } = measure(bytes);
    return { bytes, octets, eightBit, dots, hiddenEnd, begun: false };
  }
  if (isSource(body)) {
    heardOf(body);
    return { source: body, within: callerContext(), begun: false };
  }
  const advice = kindOf(body) === "Object" ? ": send_message() takes objects of MIME libraries" : "";
  const wanted = "a string, a Uint8Array, a Blob, a ReadableStream, or an iterable of strings and Uint8Arrays";
  throw new TypeError(`${argument} must be ${wanted}, not ${kindOf(body)}${advice}`);
}

/** Gives a source back that nobody has begun to read, so that what is behind it, a file maybe, is closed. Never throws. */
export function discard(content: Content): void {
  if (content.bytes !== undefined || content.begun) return;
  content.begun = true;
  content.within(() => giveUp(content.source));
}

/**
 * A stream of Node's that fails before anybody listens ends the process. Its iterator tells of the error when it is
 * read, however long ago that was.
 */
export function heardOf(body: unknown): void {
  const on: unknown = Reflect.get(Object(body), "on");
  if (typeof on === "function") on.call(body, "error", () => {});
}

/** What each kind of source is known by; a Blob is known by its class. */
const READ_BY = ["getReader", Symbol.asyncIterator, Symbol.iterator];

/** Whether a value gives a body in chunks. Not those that are iterable, but never give a text or bytes. */
export function isSource(body: unknown): body is object {
  if (typeof body !== "object" || body === null || ArrayBuffer.isView(body) || isKeyed(body)) return false;
  return body instanceof Blob || READ_BY.some((method) => typeof Reflect.get(body, method) === "function");
}

/** Whether iterating gives pairs of keys and values: a Map, a FormData. */
function isKeyed(body: object): boolean {
  const entries: unknown = Reflect.get(body, "entries");
  return typeof entries === "function" && entries === Reflect.get(body, Symbol.iterator);
}
