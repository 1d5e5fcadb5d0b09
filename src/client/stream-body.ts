/** Writes a message's content piece by piece: one that comes in chunks, and a large one. Loaded when it is first used. */
import { DataEncoder, hasEightBit } from "../core/body.ts";
import { eightBitRefused } from "../core/plan.ts";
import { SMTPException } from "../errors.ts";
import { type Chunks, chunksOf } from "./chunks.ts";
import type { Connection } from "./connection.ts";
import { type DataTransfer, PIECE } from "./data-transfer.ts";
import { textOf } from "./session-end.ts";
import type { Content } from "./source.ts";

/** Writes the content, and its end unless the transfer is over before. Failures are told to the transfer. */
export async function streamBody(
  transfer: DataTransfer,
  connection: Connection,
  content: Content,
  sevenBitOnly: boolean,
): Promise<void> {
  const encoder = new DataEncoder();
  let chunks: Chunks | undefined;
  try {
    if (content.bytes === undefined) content.begun = true;
    chunks = content.bytes === undefined ? chunksOf(content.source) : oneChunk(content.bytes);
    for (;;) {
      const chunk = await unlessOver(transfer, connection.callOut(chunks.next));
      if (transfer.over) return chunks.cancel();
      if (chunk === undefined) break;
      if (sevenBitOnly && hasEightBit(chunk)) {
        chunks.cancel();
        return transfer.giveUp(eightBitRefused());
      }
      await write(transfer, connection, encoder, chunk);
      if (transfer.over) return chunks.cancel();
    }
    // What stands before the end goes first: the outcome is unknown only from the end on.
    const blocked = connection.flush();
    if (blocked !== undefined) await unlessOver(transfer, blocked);
    if (!transfer.over) transfer.endBody(encoder);
  } catch (error) {
    chunks?.cancel();
    const message = `the source of the message failed: ${textOf(error)}`;
    transfer.giveUp(new SMTPException(message, { cause: error, delivery: "not-sent" }));
  }
}

async function write(
  transfer: DataTransfer,
  connection: Connection,
  encoder: DataEncoder,
  chunk: Uint8Array,
): Promise<void> {
  const { output } = connection;
  for (let at = 0; at < chunk.length && !transfer.over; at += PIECE) {
    output.addBytes(encoder.encode(chunk.subarray(at, at + PIECE)));
    const blocked = output.length < PIECE ? undefined : connection.flush();
    if (blocked !== undefined) await unlessOver(transfer, blocked);
  }
}

/** Waits for the work, but not longer than the transfer lasts. A race with one lasting promise would leak. */
function unlessOver<T>(transfer: DataTransfer, work: Promise<T>): Promise<T | undefined> {
  return new Promise((resolve, reject) => {
    transfer.interrupt = () => resolve(undefined);
    if (transfer.over) resolve(undefined);
    work.then(resolve, reject);
  });
}

/** A large message in memory goes the way of a stream, for its back-pressure. */
function oneChunk(bytes: Uint8Array): Chunks {
  let rest: Uint8Array | undefined = bytes;
  return {
    async next() {
      const chunk = rest;
      rest = undefined;
      return chunk;
    },
    cancel() {},
  };
}
