/** Collects command lines and pieces of a body, to write them together. */
import { copyStuffed } from "./body.ts";

const encoder = new TextEncoder();

/** Parts of at least this many bytes are written unchanged; smaller ones are copied into one write. */
const COALESCE_BELOW = 32_768;

/** The maximum number of UTF-8 bytes for a UTF-16 code unit. */
const MOST_OCTETS = 3;

/** Provides memory for pieces. */
export type OutputMemory = {
  /** Memory of at least this many bytes, to be overwritten. */
  reserve(most: number): Uint8Array;
  /** Reports how many bytes of the last reservation were written. */
  keep(octets: number): void;
};

const NEW_MEMORY: OutputMemory = { reserve: (most) => new Uint8Array(most), keep() {} };

/** Content that gets this many dots when it is copied. */
type Dotted = { readonly content: Uint8Array; readonly dots: number };

/** A part to copy: text, bytes, or content. */
type Part = string | Uint8Array | Dotted;

/** Parts that become one piece, and its maximum length in bytes. */
type Run = { readonly parts: readonly Part[]; readonly most: number };

/** Bytes and texts in the order of sending. */
export class Output {
  /** The pieces before the last run: large byte arrays, which are not copied, and other runs. */
  #before: (Uint8Array | Run)[] = [];
  #parts: Part[] = [];
  #most = 0;
  #length = 0;

  /** The approximate number of bytes in the output. */
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
    this.#most += MOST_OCTETS * text.length;
    this.#length += text.length;
  }

  /** Adds bytes, which must not change from now on. */
  addBytes(bytes: Uint8Array): void {
    const { length } = bytes;
    if (length === 0) return;
    this.#length += length;
    if (length >= COALESCE_BELOW) {
      this.#endRun();
      this.#before.push(bytes);
      return;
    }
    this.#parts.push(bytes);
    this.#most += length;
  }

  /** Adds content with CRLF line ends; stuffs the lines, `dots` in number, that begin with a dot. */
  addContent(content: Uint8Array, dots: number): void {
    if (dots === 0) return this.addBytes(content);
    const length = content.length + dots;
    this.#parts.push({ content, dots });
    this.#most += length;
    this.#length += length;
  }

  /**
   * Returns and removes the collected pieces, as few as possible without copying large parts: joins small parts in
   * `memory`, once for each piece. The output does not use the pieces again.
   */
  take(memory: OutputMemory = NEW_MEMORY): readonly Uint8Array[] {
    this.#endRun();
    const pieces = this.#before.map((piece) => (piece instanceof Uint8Array ? piece : joined(piece, memory)));
    this.#before = [];
    this.#length = 0;
    return pieces;
  }

  #endRun(): void {
    if (this.#parts.length === 0) return;
    this.#before.push({ parts: this.#parts, most: this.#most });
    this.#parts = [];
    this.#most = 0;
  }
}

/** The bytes of a run as one piece. */
function joined({ parts, most }: Run, memory: OutputMemory): Uint8Array {
  const [only] = parts;
  if (parts.length === 1 && only instanceof Uint8Array) return only;
  const piece = memory.reserve(most);
  let at = 0;
  for (const part of parts) {
    if (typeof part === "string") at += encoder.encodeInto(part, at === 0 ? piece : piece.subarray(at)).written;
    else if (!(part instanceof Uint8Array)) at = copyStuffed(part.content, part.dots, piece, at);
    else {
      piece.set(part, at);
      at += part.length;
    }
  }
  memory.keep(at);
  return at === piece.length ? piece : piece.subarray(0, at);
}
