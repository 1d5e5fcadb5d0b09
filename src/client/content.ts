/** Converts any body to checked content; `chunks.ts` reads bodies that are not in memory. */
import { measure } from "../core/body.ts";

import { kindOf, utf8 } from "../core/bytes.ts";
import { callerContext, type InContext } from "./caller-context.ts";

import { giveUp } from "./chunks.ts";

/** A message for `sendmail` and `data`. Strings become UTF-8; do not change a chunk after yielding it. */
export type Body =
  | string
  | Uint8Array
  | Blob
  | Iterable<Uint8Array | string>
  | AsyncIterable<Uint8Array | string>
  | ReadableStream<Uint8Array>;

/** A checked body: either all of it in memory, or a `source` that supplies chunks. */
export type Content =
  | {
      readonly bytes: Uint8Array;
      readonly octets: number;
      readonly eightBit: boolean;
      /** The number of lines that begin with a dot; undefined: not counted. */
      readonly dots: number | undefined;
      readonly hiddenEnd: boolean;
      /** True once a first piece was sent; unused if the content is sent in one write. */
      begun?: boolean;
    }
  | {
      readonly bytes?: undefined;
      readonly octets?: undefined;
      readonly eightBit?: undefined;
      readonly dots?: undefined;
      readonly hiddenEnd?: undefined;
      readonly source: object;
      /** The context of the call that passed the body. */
      readonly within: InContext;
      /** True once a chunk was requested from the source, or the source was released. */
      begun: boolean;
    };

/**
 * Checks a body.
 * @throws {TypeError} naming the argument, if it cannot be sent
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

/** Releases an unread source, so that the underlying resource, such as a file, is closed. Never throws. */
export function discard(content: Content): void {
  if (content.bytes !== undefined || content.begun) return;
  content.begun = true;
  content.within(() => giveUp(content.source));
}

/**
 * Keeps a Node stream that fails early from ending the process for lack of a listener. Its iterator reports the error
 * whenever it is read.
 */
export function heardOf(body: unknown): void {
  const on: unknown = Reflect.get(Object(body), "on");
  if (typeof on === "function") on.call(body, "error", () => {});
}

/** The methods that identify each kind of source; a Blob is identified by its class. */
const READ_BY = ["getReader", Symbol.asyncIterator, Symbol.iterator];

/** Whether a value supplies a body in chunks. Excludes iterables that never yield strings or bytes. */
export function isSource(body: unknown): body is object {
  if (typeof body !== "object" || body === null || ArrayBuffer.isView(body) || isKeyed(body)) return false;
  return body instanceof Blob || READ_BY.some((method) => typeof Reflect.get(body, method) === "function");
}

/** Whether an object iterates over pairs of keys and values, as a Map or FormData does. */
function isKeyed(body: object): boolean {
  const entries: unknown = Reflect.get(body, "entries");
  return typeof entries === "function" && entries === Reflect.get(body, Symbol.iterator);
}
