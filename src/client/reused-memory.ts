/**
 * Memory for the octets of a long message on their way, used again and again: new memory for each piece is cleared, paged
 * in, and freed late. What was written is not touched before the stream says that it has done with it; where it does not
 * say so, all memory is new.
 */
import type { ByteStream } from "../byte-stream.ts";
import type { Output } from "../core/output.ts";

/** What tells which octets are still on their way: of a connection. */
type OnTheirWay = { readonly output: Pick<Output, "length">; readonly stream: Pick<ByteStream, "unsent" | "write"> };

/** More than asked for, as the next piece may have a few dots more. */
const SPARE = 4096;

/**
 * Gives memory for pieces that go into the connection's output in this order, and nowhere else. To be asked only while no
 * flush is under way.
 */
export function reusedMemory({ output, stream }: OnTheirWay): (length: number) => Uint8Array {
  /** In the order in which they were given; `end` is how many octets had been given with this one. */
  const pieces: { memory: Uint8Array; end: number }[] = [];
  let given = 0;

  return (length) => {
    const unsent = stream.unsent?.(stream.write);
    if (unsent === undefined) return new Uint8Array(length);
    const oldest = pieces[0];
    // Whatever else was written in between, the last octets that the stream holds are no earlier ones of these.
    const free = oldest !== undefined && output.length + unsent <= given - oldest.end;
    if (free) pieces.shift();
    const memory = free && oldest.memory.length >= length ? oldest.memory : new Uint8Array(length + SPARE);
    given += length;
    pieces.push({ memory, end: given });
    return memory.subarray(0, length);
  };
}
