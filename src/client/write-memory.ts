/**
 * Memory for the writes of a connection. New memory for each write is cleared, paged in, and freed late: so one block
 * serves many writes, and is reused once the stream holds none of it. If the stream does not report that, no byte is
 * used twice.
 */
import type { ByteStream } from "../byte-stream.ts";
import type { OutputMemory } from "../core/output.ts";

/** Bytes of the first and of the largest block: a block grows to the size that the connection needs. */
const SMALLEST = 4096;
const LARGEST = 65_536;

/** The memory for the writes of one connection. */
export class WriteMemory implements OutputMemory {
  readonly #stream: Pick<ByteStream, "unsent" | "write">;
  #block = new Uint8Array(0);
  #used = 0;
  /** True if the last reservation is not part of the block. */
  #separate = false;

  constructor(stream: Pick<ByteStream, "unsent" | "write">) {
    this.#stream = stream;
  }

  /** Reuses the block if the stream holds none of it. Call before `reserve()`, when all bytes are written. */
  reclaim(): void {
    const stream = this.#stream;
    if (this.#used > 0 && stream.unsent?.(stream.write) === 0) this.#used = 0;
  }

  /** Reserves at least `most` bytes for a piece of the next write. */
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

  /** Marks `octets` bytes of the last reservation as used. */
  keep(octets: number): void {
    if (!this.#separate) this.#used += octets;
  }
}
