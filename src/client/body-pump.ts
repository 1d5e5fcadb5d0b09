/** Reads a message's content piece by piece, if it is large or arrives in chunks. */
import { DataEncoder } from "../core/body.ts";
import { HiddenEndError, HiddenEndSearch } from "../core/hidden-end.ts";
import { hasEightBit, skipSendable, skipUndotted } from "../core/long-body.ts";
import { eightBitRefused, type Plan } from "../core/plan.ts";
import { SMTPException } from "../errors.ts";
import { type Chunks, chunksWithin } from "./chunks.ts";
import type { Connection } from "./connection.ts";
import type { Content } from "./content.ts";
import { pacedFlush } from "./pace.ts";
import { reusedMemory } from "./reused-memory.ts";
import { textOf } from "./session-end.ts";

/** Writes the output; returns a promise if the stream has not yet accepted it. */
export type Flush = () => Promise<void> | undefined;

/** Sends the pieces, by DATA or by BDAT. */
export type PieceWriter = {
  /** The maximum number of bytes in a piece. */
  readonly piece: number;
  /** True once the outcome is known: nothing more may be written. */
  readonly over: boolean;
  /** Called when that happens, to end a wait for something else. */
  interrupt: () => void;
  /** Bytes accepted but not yet in the output. If missing, the writer holds none back. */
  readonly held?: number;
  /** Accepts a piece, and flushes when there is enough for a write. If it returns a promise, wait for it. */
  add(piece: Uint8Array, flush: Flush): Promise<void> | undefined;
  /** Sends the held bytes, because no more pieces come for now. Returns what `add` returns. */
  pause(flush: Flush): Promise<void> | undefined;
  /** Sends what must precede the end, or waits for its reply. The end waits for a returned promise. */
  finish(flush: Flush): Promise<void> | undefined;
  /** Sends the end, after `finish`. */
  end(): void;
  /** The content cannot be completed: the connection is dropped. */
  giveUp(error: SMTPException): void;
};

/** The encoder for long content. In measured content without lone CR or LF it searches for dots only. */
export function longDataEncoder({ bytes, octets }: Content, connection: Connection): DataEncoder {
  const skip = bytes !== undefined && octets === bytes.length ? skipUndotted : skipSendable;
  return new DataEncoder(skip, reusedMemory(connection));
}

/** Writes the content, and its end unless the writer is over before. Reports failures to the writer. */
export async function pumpBody(
  writer: PieceWriter,
  connection: Connection,
  content: Content,
  sevenBitOnly: boolean,
  kind: Plan["content"] = "text",
): Promise<void> {
  const flush = pacedFlush(connection);
  // Content in memory was checked before.
  const hiddenEnd = kind === "text" && content.bytes === undefined ? new HiddenEndSearch() : undefined;
  let chunks: Chunks | undefined;
  try {
    content.begun = true;
    chunks = content.bytes === undefined ? chunksWithin(content) : oneChunk(content.bytes);
    for (;;) {
      let blocked: Promise<void> | undefined;
      const waiting = connection.output.length > 0 || (writer.held ?? 0) > 0;
      const pause = (): void => {
        blocked = writer.pause(flush);
      };
      const chunk = await nextChunk(writer, connection.runCallerCode(chunks.next), waiting ? pause : undefined);
      if (blocked !== undefined) await unlessOver(writer, blocked);
      if (writer.over) return chunks.cancel();
      if (chunk === undefined) break;
      if (sevenBitOnly && content.bytes === undefined && hasEightBit(chunk)) {
        chunks.cancel();
        return writer.giveUp(eightBitRefused());
      }
      if (hiddenEnd?.found(chunk)) {
        chunks.cancel();
        const cause = new HiddenEndError();
        return writer.giveUp(new SMTPException(cause.message, { cause, delivery: "not-sent" }));
      }
      await addAll(writer, chunk, flush);
      if (writer.over) return chunks.cancel();
    }
    // Sends everything before the end first: the outcome is unknown only from the end on.
    const unfinished = writer.finish(flush);
    if (unfinished !== undefined) await unlessOver(writer, unfinished);
    if (!writer.over) writer.end();
  } catch (error) {
    chunks?.cancel();
    const message = `the source of the message failed: ${textOf(error)}`;
    writer.giveUp(new SMTPException(message, { cause: error, delivery: "not-sent" }));
  }
}

async function addAll(writer: PieceWriter, chunk: Uint8Array, flush: Flush): Promise<void> {
  const { piece } = writer;
  for (let at = 0; at < chunk.length && !writer.over; at += piece) {
    const blocked = writer.add(chunk.length > piece ? chunk.subarray(at, at + piece) : chunk, flush);
    if (blocked !== undefined) await unlessOver(writer, blocked);
  }
}

/**
 * The number of microtask turns that count as "at once": more than nested generators and streams need to pass on an
 * available chunk. It costs a few microseconds where the source does pause.
 */
const TURNS = 64;

const SETTLED = Promise.resolve();

/**
 * Waits for the source until the writer is over. Calls `pause` if no chunk has arrived after promises had time to
 * settle: bytes that the source has supplied must not wait for the next, since the server's timeout runs and it may
 * refuse. This uses no timer: fake timers may stand still in tests, and a real one would delay every chunk.
 */
function nextChunk(
  writer: PieceWriter,
  next: Promise<Uint8Array | undefined>,
  pause: (() => void) | undefined,
): Promise<Uint8Array | undefined> {
  return new Promise((resolve, reject) => {
    let turns = 0;
    let awaited = true;
    const turn = (): void => {
      if (!awaited || writer.over) return;
      if (++turns < TURNS) return void SETTLED.then(turn);
      try {
        pause?.();
      } catch (error) {
        reject(error);
      }
    };
    const settle = (chunk?: Uint8Array): void => {
      awaited = false;
      resolve(chunk);
    };
    writer.interrupt = settle;
    if (writer.over) settle();
    next.then(settle, reject);
    if (pause !== undefined) turn();
  });
}

/** Waits for the work until the writer is over. A race with one lasting promise would leak. */
function unlessOver(writer: PieceWriter, work: Promise<void>): Promise<void> {
  return new Promise((resolve, reject) => {
    writer.interrupt = () => resolve(undefined);
    if (writer.over) resolve(undefined);
    work.then(resolve, reject);
  });
}

/** Treats a large message in memory as a stream, for its back-pressure. */
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
