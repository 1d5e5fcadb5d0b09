/**
 * Encodes message data: line ends, dot-stuffing and the end of the data, over chunks (RFC 5321 4.5.2), and measures a
 * whole message before it is sent. Independent of commands and replies.
 */

import { HiddenEndSearch } from "./hidden-end.ts";

const LF = 10;
const CR = 13;
const DOT = 46;
/** The stuffed byte if there is none: after LF, another LF needs an insertion in any case. */
export const NONE: number = LF;

const CLOSING = Uint8Array.of(CR, LF, DOT, CR, LF);
const CRLF_LENGTH = 2;

/** Runs of fewer bytes are copied in a loop, which is faster than a native call. */
const SHORT_RUN = 16;

const HIGH_BITS = ~0x7f7f7f7f;

/** The number of bytes that a quick search checks at a time. */
const BLOCK = 16;

/**
 * A quick search over `bytes`, with `words` as their view: starts at `i`, at least 1, and skips bytes that certainly
 * need no insertion before them. It may skip none.
 */
export type Skip = (bytes: Uint8Array, words: DataView, i: number, length: number) => number;

/**
 * The common part of `DataEncoder` and `ChunkEncoder`: CRLF, lone LF and lone CR each become CRLF, wherever chunks are
 * cut. U+2028, NEL, VT, FF and NUL are content.
 *
 * Every change is an insertion between two bytes, and only these two decide about it. So a CR at the end of a chunk is
 * output at once: its LF follows with the next chunk or with the end, and the only state between chunks is one byte.
 */
export abstract class BodyEncoder {
  readonly #stuffed: number;
  readonly #skip: Skip;
  readonly #memory: (length: number) => Uint8Array;
  #last = LF;

  protected constructor(stuffed: number, skip: Skip, memory = (length: number): Uint8Array => new Uint8Array(length)) {
    this.#stuffed = stuffed;
    this.#skip = skip;
    this.#memory = memory;
  }

  /**
   * Encodes a chunk. Besides the result it needs a few bytes of memory for each insertion.
   *
   * @returns `chunk` itself if nothing had to change, other memory otherwise.
   */
  encode(chunk: Uint8Array): Uint8Array {
    const first = chunk[0];
    if (first === undefined) return chunk;
    const last = this.#last;
    this.#last = chunk[chunk.length - 1] ?? LF;
    const places = needsInsertion(last, first, this.#stuffed) ? [0] : [];
    findInsertions(chunk, this.#stuffed, this.#skip, places);
    return places.length === 0 ? chunk : this.#insert(chunk, last, places);
  }

  #insert(chunk: Uint8Array, last: number, places: readonly number[]): Uint8Array {
    const stuffed = this.#stuffed;
    let dots = 0;
    let ends = 0;
    for (const at of places) {
      const octet = chunk[at];
      if (octet === LF || (at === 0 ? last : chunk[at - 1]) === CR) ends++;
      if (octet === stuffed && octet !== LF) dots++;
    }
    const output = this.#memory(chunk.length + ends + dots);
    // Copies the chunk to the end of the output and moves its runs down: no run needs its own view.
    const gap = ends + dots;
    output.set(chunk, gap);
    let written = 0;
    let read = 0;
    for (const at of places) {
      if (at - read < SHORT_RUN) for (let i = read; i < at; i++) output[written++] = chunk[i] ?? 0;
      else {
        output.copyWithin(written, read + gap, at + gap);
        written += at - read;
      }
      read = at;
      const octet = chunk[at];
      if (octet === LF) output[written++] = CR;
      else {
        if ((at === 0 ? last : chunk[at - 1]) === CR) output[written++] = LF;
        if (octet === stuffed) output[written++] = stuffed;
      }
    }
    return output;
  }

  /** The last bytes of the encoded data. Call it once, at the end. */
  end(): Uint8Array {
    const start = this.#last === LF ? 2 : this.#last === CR ? 1 : 0;
    return CLOSING.slice(start, this.#stuffed === NONE ? CRLF_LENGTH : undefined);
  }
}

/**
 * Encodes a message for DATA: CRLF line ends, and another dot before every line that starts with one (RFC 5321 4.5.2).
 * `end()` completes a lone CR, adds CRLF if the content does not end in one, then the line with the dot.
 */
export class DataEncoder extends BodyEncoder {
  /**
   * @param skip must stop at every insertion that the content can need; the default suits short contents
   * @param memory returns memory for this many bytes, to be overwritten; default: new memory
   */
  constructor(skip: Skip = skipShort, memory?: (length: number) => Uint8Array) {
    super(DOT, skip, memory);
  }
}

/** The measurements of a whole message in memory. */
export type Measure = {
  /** The value of `SIZE=`: bytes with CRLF line ends, before stuffing, as in Python. */
  readonly octets: number;
  /** True if a byte is over 127, which needs 8BITMIME (RFC 6152). */
  readonly eightBit: boolean;
  /** The number of lines that begin with a dot; undefined: not counted. */
  readonly dots: number | undefined;
  /** True if a line begins with NUL and a dot. */
  readonly hiddenEnd: boolean;
};

/** Dots are not counted in messages of more bytes than this. */
const MOST_SEARCHED = 65_536;

/** Measures a whole message in memory: for SIZE, 8BITMIME and dot-stuffing. */
export function measure(message: Uint8Array): Measure {
  const { length } = message;
  const words = wordsOf(message);
  let octets = message[length - 1] === CR ? length + 1 : length;
  const isSearched = length <= MOST_SEARCHED;
  const skip = isSearched ? skipShort : skipWholeLineEnds;
  let eightBit = false;
  let dots = 0;
  let before = 0;
  for (let i = 0; i < length; i = skip(message, words, i, length)) {
    before = i === 0 ? LF : (message[i - 1] ?? 0);
    for (const end = Math.min(i + BLOCK, length); i < end; i++) {
      const octet = message[i] ?? 0;
      if (octet > 127) eightBit = true;
      if (octet === DOT && before === LF) dots++;
      else if (needsInsertion(i === 0 ? 0 : before, octet, NONE)) octets++;
      before = octet;
    }
  }
  const hiddenEnd = message.includes(0) && new HiddenEndSearch().found(message);
  return { octets, eightBit, dots: isSearched ? dots : undefined, hiddenEnd };
}

/**
 * Writes content into `target` from `at` on, and stuffs lines that begin with a dot; returns the end. Only for content
 * that `measure()` has checked: all line ends are CRLF, and `dots` lines begin with a dot.
 */
export function copyStuffed(content: Uint8Array, dots: number, target: Uint8Array, at: number): number {
  const moved = at + dots;
  let written = at;
  let read = 0;
  // Copies the content to the end of its place and moves its runs down: no run needs its own view.
  target.set(content, moved);
  for (let dot = content.indexOf(DOT); written < moved + read; dot = content.indexOf(DOT, dot + 1)) {
    if (dot > 0 && content[dot - 1] !== LF) continue;
    target.copyWithin(written, moved + read, moved + dot);
    written += dot - read;
    target[written++] = DOT;
    read = dot;
  }
  return moved + content.length;
}

function wordsOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}

/** Adds to `places` the index of each byte, except the first, that needs an insertion before it. */
function findInsertions(chunk: Uint8Array, stuffed: number, skip: Skip, places: number[]): void {
  const { length } = chunk;
  const words = wordsOf(chunk);
  for (let i = 1; i < length; ) {
    i = skip(chunk, words, i, length);
    for (const end = Math.min(i + BLOCK, length); i < end; i++) {
      if (needsInsertion(chunk[i - 1] ?? 0, chunk[i] ?? 0, stuffed)) places.push(i);
    }
  }
}

/** Whether bytes need an insertion between them: an incomplete line end, or the stuffed byte at a line's start. */
function needsInsertion(before: number, after: number, stuffed: number): boolean {
  if (after === LF) return before !== CR;
  return before === CR || (before === LF && after === stuffed);
}

/** Like `skipWholeLineEnds`, but stops at a dot that begins a line. */
function skipShort(_: Uint8Array, words: DataView, from: number, length: number): number {
  let i = from;
  for (; i + 8 <= length; i += 8) {
    const found = brokenEnds(words, i) | brokenEnds(words, i + 4) | dots(words, i) | dots(words, i + 4);
    if ((found & HIGH_BITS) !== 0) break;
  }
  return i;
}

/**
 * Skips bytes under 128 in which each LF has its CR and each CR its LF, sixteen at a time; no branch depends on the
 * position of line ends. Measured on Node: 5.6 GB/s, against 0.8 with `indexOf` for each line and 0.3 byte by byte.
 */
export function skipWholeLineEnds(_: Uint8Array, words: DataView, from: number, length: number): number {
  let i = from;
  for (; i + BLOCK <= length; i += BLOCK) {
    const broken =
      brokenEnds(words, i) | brokenEnds(words, i + 4) | brokenEnds(words, i + 8) | brokenEnds(words, i + 12);
    if ((broken & HIGH_BITS) !== 0) break;
  }
  return i;
}

/**
 * For four bytes from `i` on, sets the high bit of a LF without CR before it, of the byte after a CR that is no LF, and
 * of a byte over 127.
 *
 * Subtracting 1 from a byte under 128 sets its high bit if it was 0, or if it was 1 and the byte below it borrows. Such
 * a 1 is a FF after a CR or a VT after a LF: the first follows a CR that has no LF, the second only ends the quick
 * search too early. No sum exceeds 32 bits, which interpreted code would store as an object. `DataView` needs no
 * alignment, and was faster than `Int32Array`.
 */
function brokenEnds(words: DataView, i: number): number {
  const before = words.getInt32(i - 1, true);
  const octets = words.getInt32(i, true);
  return (((before ^ 0x0d0d0d0d) - 0x01010101) ^ ((octets ^ 0x0a0a0a0a) - 0x01010101)) | before | octets;
}

/** For any four bytes from `i` on, sets the high bit of a dot after LF; higher bytes may have false positives. */
export function dots(words: DataView, i: number): number {
  const other = (words.getInt32(i - 1, true) ^ 0x0a0a0a0a) | (words.getInt32(i, true) ^ 0x2e2e2e2e);
  return (other - 0x01010101) & ~other;
}
