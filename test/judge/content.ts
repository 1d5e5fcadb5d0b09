/** Reads a message's content as DATA carries it, up to the line that ends it, or as BDAT carries it, chunk by chunk. */
import type { Fail } from "./transcript.ts";

const CR = 13;
const LF = 10;
const DOT = 46;

/** Checks the bytes of a content: lines end in CRLF, and the transaction may carry the bytes. */
export class ContentBytes {
  readonly #fail: Fail;
  readonly #eightBitFault: string | undefined;
  #before = LF;
  #eightBit = false;

  /** `eightBitFault` is the rule that a byte over 127 breaks, if any. */
  constructor(eightBitFault: string | undefined, fail: Fail) {
    this.#eightBitFault = eightBitFault;
    this.#fail = fail;
  }

  /** Takes the next byte. */
  take(byte: number): void {
    if (byte === LF && this.#before !== CR) this.#fail("RFC 5321 2.3.8: no bare LF in content", "");
    if (byte !== LF && this.#before === CR) this.#fail("RFC 5321 2.3.8: no bare CR in content", "");
    if (byte > 127 && this.#eightBitFault !== undefined && !this.#eightBit) {
      this.#eightBit = true;
      this.#fail(this.#eightBitFault, "");
    }
    this.#before = byte;
  }

  /** Takes the bytes up to the next one that could break a rule, or up to `to`; returns where that is. */
  skip(bytes: Uint8Array, from: number, to: number): number {
    if (this.#before === CR) return from;
    let at = from;
    for (; at < to; at++) {
      const byte = bytes[at] ?? 0;
      if (byte === CR || byte === LF || byte > 127) break;
    }
    if (at > from) this.#before = bytes[at - 1] ?? 0;
    return at;
  }

  /** Takes the end of the content. */
  end(): void {
    if (this.#before === CR) this.#fail("RFC 5321 2.3.8: no bare CR in content", "at its end");
  }
}

/** Consumes the content of DATA (RFC 5321 4.5.2). */
export class ContentReader {
  readonly #bytes: ContentBytes;
  readonly #fail: Fail;
  #nobody: boolean;
  #lineLength = 0;
  #dots = 0;

  /** `nobody`: no recipient was accepted, so that only the end may follow. */
  constructor(bytes: ContentBytes, nobody: boolean, fail: Fail) {
    this.#bytes = bytes;
    this.#nobody = nobody;
    this.#fail = fail;
  }

  /** True if the bytes so far may be the beginning of the end: the current line is a single dot. */
  get nearEnd(): boolean {
    return this.#dots === 1 && this.#lineLength === 1;
  }

  /** Consumes bytes from `at`; `next` is where the content stops, if it ended there. */
  push(bytes: Uint8Array, at: number): { next: number; ended: boolean } {
    for (let index = at; index < bytes.length; index++) {
      // Behind the beginning of a line, only the line's end matters here. Most bytes of a large content are there.
      if (this.#lineLength >= 2 && this.#dots < this.#lineLength) {
        const stop = this.#bytes.skip(bytes, index, bytes.length);
        this.#lineLength += stop - index;
        index = stop;
        if (index === bytes.length) break;
      }
      if (this.#take(bytes[index] ?? 0)) return { next: index + 1, ended: true };
    }
    return { next: bytes.length, ended: false };
  }

  #take(byte: number): boolean {
    this.#bytes.take(byte);
    if (byte === LF) {
      // "." CR LF: the line has a dot and a CR.
      const ends = this.#dots === 1 && this.#lineLength === 2;
      if (!ends && this.#nobody) {
        this.#nobody = false;
        this.#fail("RFC 2920 3.1: nothing but the end goes to a server that accepted nobody", "");
      }
      this.#lineLength = 0;
      this.#dots = 0;
      return ends;
    }
    this.#lineLength++;
    if (byte === DOT && this.#dots === this.#lineLength - 1) this.#dots++;
    else if (this.#lineLength === 2 && this.#dots === 1 && byte !== CR) {
      this.#fail("RFC 5321 4.5.2: a dot at the beginning of a line is doubled", "");
    }
    return false;
  }
}

/** One chunk (RFC 3030 2) of a content. */
export class ChunkReader {
  readonly #bytes: ContentBytes | undefined;
  readonly #last: boolean;
  #left: number;

  /** `bytes` is undefined for binary content, which may have any bytes. */
  constructor(bytes: ContentBytes | undefined, size: number, last: boolean) {
    this.#bytes = bytes;
    this.#left = size;
    this.#last = last;
    if (size === 0) this.#end();
  }

  get ended(): boolean {
    return this.#left === 0;
  }

  /** Consumes bytes from `at`; returns where the chunk stops. */
  push(bytes: Uint8Array, at: number): number {
    const end = Math.min(bytes.length, at + this.#left);
    for (let index = at; this.#bytes !== undefined && index < end; index++) {
      index = this.#bytes.skip(bytes, index, end);
      if (index < end) this.#bytes.take(bytes[index] ?? 0);
    }
    this.#left -= end - at;
    if (this.ended) this.#end();
    return end;
  }

  #end(): void {
    if (this.#last) this.#bytes?.end();
  }
}
