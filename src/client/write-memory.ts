/**
 * Memory for what a connection writes. New memory for each write is cleared, paged in, and freed late: so one block serves
 * many writes, and is used again once the stream holds nothing of it. Where the stream does not say so, no octet is used
 * twice.
 */
import type { ByteStream } from "../byte-stream.ts";
import type { OutputMemory } from "../core/output.ts";

/** Octets of the first block, and of the largest: a block is as large as what the connection turns out to need. */
const SMALLEST = 4096;
const LARGEST = 65_536;

/** The memory for the writes of one connection. */
export class WriteMemory implements OutputMemory {
  readonly #stream: Pick<ByteStream, "unsent" | "write">;
  #block = new Uint8Array(0);
  #used = 0;
  /** True if what was reserved last is none of the block. */
  #separate = false;

  constructor(stream: Pick<ByteStream, "unsent" | "write">) {
    this.#stream = stream;
  }

  /** All that was reserved so far is written: it is free if the stream holds nothing. To be called before `reserve()`. */
  reclaim(): void {
    const stream = this.#stream;
    if (this.#used > 0 && stream.unsent?.(stream.write) === 0) this.#used = 0;
  }

  /** At least so many octets, for a piece of the next write. */
  reserve(most: number): Uint8Array {
    // A large piece must not leave the rest of a block unused.
    this.#separate = most > LARGEST / 4 && this.#stream.unsent === undefined;
    if (this.#separate) return new Uint8Array(most);
    if (this.#used + most > this.#block.length) {
      this.#block = new Uint8Array(Math.max(most, Math.min(LARGEST, Math.max(SMALLEST, this.#block.length * 2))));
      this.#used = 0;
    }
    return this.#used === 0 ? this.#block : this.#block.subarray(this.#used);
  }

  /** So many octets of what was reserved last are used. */
  keep(octets: number): void {
    if (!this.#separate) this.#used += octets;
  }
}
