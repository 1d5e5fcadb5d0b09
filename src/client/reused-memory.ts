/**
 * Reuses memory for the bytes of a long message: new memory for each piece is cleared, paged in, and freed late.
 * Written memory is not reused before the stream reports that it no longer needs it; if the stream does not report
 * that, all memory is new.
 */
import type { ByteStream } from "../byte-stream.ts";
import type { Output } from "../core/output.ts";

/** The parts of a connection that show which bytes are unsent. */
type OnTheirWay = { readonly output: Pick<Output, "length">; readonly stream: Pick<ByteStream, "unsent" | "write"> };

/** Extra bytes, because the next piece may have a few more dots. */
const SPARE = 4096;

/**
 * Returns memory for pieces that go into the connection's output in this order, and nowhere else. Call it only while no
 * flush is under way.
 */
export function reusedMemory({ output, stream }: OnTheirWay): (length: number) => Uint8Array {
  /** In the order of allocation; `end` is the total length up to this piece. */
  const pieces: { memory: Uint8Array; end: number }[] = [];
  let given = 0;

  return (length) => {
    const unsent = stream.unsent?.(stream.write);
    if (unsent === undefined) return new Uint8Array(length);
    const oldest = pieces[0];
    // The last bytes that the stream holds do not belong to earlier pieces, whatever was written in between.
    const free = oldest !== undefined && output.length + unsent <= given - oldest.end;
    if (free) pieces.shift();
    const memory = free && oldest.memory.length >= length ? oldest.memory : new Uint8Array(length + SPARE);
    given += length;
    pieces.push({ memory, end: given });
    return memory.subarray(0, length);
  };
}
