/** Gathers what leaves together: command lines, pieces of a body. */

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

/** Octets and texts in the order in which they leave. */
export class Output {
  #parts: (string | Uint8Array)[] = [];
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
      if (to - from > 1 || typeof part === "string") pieces.push(joined(parts, from, to, memory));
      else if (part !== undefined) pieces.push(part);
      from = Math.max(to, from + 1);
    }
    this.#parts = [];
    this.#length = 0;
    return pieces;
  }
}

/** Where the small parts end that begin at `from`. */
function endOfSmall(parts: readonly (string | Uint8Array)[], from: number): number {
  let to = from;
  for (let part = parts[to]; part !== undefined && part.length < COALESCE_BELOW; part = parts[to]) to++;
  return to;
}

/** Joins the parts from `from` to `to`, or the one at `from`. */
function joined(parts: readonly (string | Uint8Array)[], from: number, to: number, memory: OutputMemory): Uint8Array {
  const end = Math.max(to, from + 1);
  let most = 0;
  for (let at = from; at < end; at++) most += mostOctets(parts[at] ?? "");
  const piece = memory.reserve(most);
  let length = 0;
  for (let at = from; at < end; at++) {
    const part = parts[at] ?? "";
    if (typeof part === "string")
      length += encoder.encodeInto(part, length === 0 ? piece : piece.subarray(length)).written;
    else {
      piece.set(part, length);
      length += part.length;
    }
  }
  memory.keep(length);
  return length === piece.length ? piece : piece.subarray(0, length);
}

function mostOctets(part: string | Uint8Array): number {
  return typeof part === "string" ? part.length * MOST_OCTETS : part.length;
}
