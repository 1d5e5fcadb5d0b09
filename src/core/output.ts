/** Gathers what leaves together: command lines, pieces of a body. */
import { copyStuffed } from "./body.ts";

const encoder = new TextEncoder();

/** Parts of at least this many octets are written as they are; smaller ones are copied together into one write. */
const COALESCE_BELOW = 32_768;

/** UTF-8 has at most so many octets for a UTF-16 code unit. */
const MOST_OCTETS = 3;

/** Provides memory for pieces. */
export type OutputMemory = {
  /** Memory of at least this many octets, to be overwritten. */
  reserve(most: number): Uint8Array;
  /** How many octets of what was reserved last were written. */
  keep(octets: number): void;
};

const NEW_MEMORY: OutputMemory = { reserve: (most) => new Uint8Array(most), keep() {} };

/** A content that gets so many dots on its way into memory. */
type Dotted = { readonly content: Uint8Array; readonly dots: number };

/** What leaves together: texts, octets, and contents. */
type Part = string | Uint8Array | Dotted;

/** Octets and texts in the order in which they leave. */
export class Output {
  #parts: Part[] = [];
  #length = 0;

  /** Roughly how many octets wait to be taken. */
  get length(): number {
    return this.#length;
  }

  /** Adds a text, to be sent as UTF-8. */
  addText(text: string): void {
    if (text === "") return;
    const parts = this.#parts;
    const last = parts.length - 1;
    const before = parts[last];
    if (typeof before === "string") parts[last] = before + text;
    else parts.push(text);
    this.#length += text.length;
  }

  /** Adds octets, which must not change from now on. */
  addBytes(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    this.#parts.push(bytes);
    this.#length += bytes.length;
  }

  /** Adds a message's content whose line ends are CRLF, to be sent with another dot on the lines, `dots`, that begin with one. */
  addContent(content: Uint8Array, dots: number): void {
    if (dots === 0) return this.addBytes(content);
    this.#parts.push({ content, dots });
    this.#length += content.length + dots;
  }

  /**
   * Everything gathered so far, in as few pieces as that needs no copy of large parts: small parts are joined in
   * `memory`, once for each piece. The output does not touch the pieces again.
   */
  take(memory: OutputMemory = NEW_MEMORY): readonly Uint8Array[] {
    const parts = this.#parts;
    const pieces: Uint8Array[] = [];
    for (let from = 0; from < parts.length; ) {
      const to = endOfSmall(parts, from);
      const part = parts[from];
      if (to - from > 1 || !(part instanceof Uint8Array)) pieces.push(joined(parts, from, to, memory));
      else pieces.push(part);
      from = Math.max(to, from + 1);
    }
    this.#parts = [];
    this.#length = 0;
    return pieces;
  }
}

/** Where the parts end, from `from` on, that are to be copied: all but large octets. */
function endOfSmall(parts: readonly Part[], from: number): number {
  let to = from;
  while (to < parts.length && !isLarge(parts[to])) to++;
  return to;
}

function isLarge(part: Part | undefined): boolean {
  return part instanceof Uint8Array && part.length >= COALESCE_BELOW;
}

/** Joins the parts from `from` to `to`. */
function joined(parts: readonly Part[], from: number, to: number, memory: OutputMemory): Uint8Array {
  let most = 0;
  for (let at = from; at < to; at++) most += mostOctets(parts[at] ?? "");
  const piece = memory.reserve(most);
  let length = 0;
  for (let at = from; at < to; at++) length = written(parts[at] ?? "", piece, length);
  memory.keep(length);
  return length === piece.length ? piece : piece.subarray(0, length);
}

/** Writes a part into `piece` from `at` on; returns where it ends. */
function written(part: Part, piece: Uint8Array, at: number): number {
  if (typeof part === "string") return at + encoder.encodeInto(part, at === 0 ? piece : piece.subarray(at)).written;
  if (!(part instanceof Uint8Array)) return copyStuffed(part.content, part.dots, piece, at);
  piece.set(part, at);
  return at + part.length;
}

function mostOctets(part: Part): number {
  if (typeof part === "string") return part.length * MOST_OCTETS;
  return part instanceof Uint8Array ? part.length : part.content.length + part.dots;
}
