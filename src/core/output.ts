/** Gathers what leaves together: command lines, pieces of a body. */

const encoder = new TextEncoder();

/** Parts of at least this many octets are written as they are; smaller ones are copied together into one write. */
const COALESCE_BELOW = 32_768;

/** UTF-8 has at most so many octets for a UTF-16 code unit. */
const MOST_OCTETS = 3;

/** Provides memory of at least this many octets, to be overwritten. */
export type Reserve = (most: number) => Uint8Array;

const newMemory: Reserve = (most) => new Uint8Array(most);

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
   * Everything gathered so far, in as few pieces as that needs no copy of large parts: small parts are joined in the
   * memory that `reserve` provides, which is called once for each piece. The output does not touch the pieces again.
   */
  take(reserve: Reserve = newMemory): readonly Uint8Array[] {
    const parts = this.#parts;
    const pieces: Uint8Array[] = [];
    for (let from = 0; from < parts.length; ) {
      const to = endOfSmall(parts, from);
      const part = parts[from];
      if (to - from > 1 || typeof part === "string") pieces.push(joined(parts, from, to, reserve));
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

function joined(parts: readonly (string | Uint8Array)[], from: number, to: number, reserve: Reserve): Uint8Array {
  let most = 0;
  for (let at = from; at < to || at === from; at++) most += mostOctets(parts[at] ?? "");
  const memory = reserve(most);
  let length = 0;
  for (let at = from; at < to || at === from; at++) {
    const part = parts[at] ?? "";
    if (typeof part === "string")
      length += encoder.encodeInto(part, length === 0 ? memory : memory.subarray(length)).written;
    else {
      memory.set(part, length);
      length += part.length;
    }
  }
  return length === memory.length ? memory : memory.subarray(0, length);
}

function mostOctets(part: string | Uint8Array): number {
  return typeof part === "string" ? part.length * MOST_OCTETS : part.length;
}
