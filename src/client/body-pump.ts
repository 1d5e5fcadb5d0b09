/** Reads a message's content piece by piece: one that comes in chunks, and a large one. */
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

/** Lets what is in the output leave; a promise: the server has not taken it yet. */
export type Flush = () => Promise<void> | undefined;

/** Where the pieces go: by DATA, or by BDAT. */
export type PieceWriter = {
  /** The most octets that it takes at a time. */
  readonly piece: number;
  /** True once the outcome is known: nothing more may be written. */
  readonly over: boolean;
  /** Called when that happens, for who waits for something else meanwhile. */
  interrupt: () => void;
  /** How many octets were taken that are not in the output yet; none are held back where it is missing. */
  readonly held?: number;
  /** Takes a piece, and flushes what is enough for a write; a promise: no more before it is settled. */
  add(piece: Uint8Array, flush: Flush): Promise<void> | undefined;
  /** No more pieces come for now: what was taken leaves. A promise as `add` gives. */
  pause(flush: Flush): Promise<void> | undefined;
  /** All pieces were taken: what has to leave or to be answered before the end. A promise: the end waits for it. */
  finish(flush: Flush): Promise<void> | undefined;
  /** Sends the end, after `finish`. */
  end(): void;
  /** The content cannot be completed: the connection is dropped. */
  giveUp(error: SMTPException): void;
};

/** The encoder for a long content. Where it was measured and has no lone CR or LF, only dots are searched for. */
export function longDataEncoder({ bytes, octets }: Content, connection: Connection): DataEncoder {
  const skip = bytes !== undefined && octets === bytes.length ? skipUndotted : skipSendable;
  return new DataEncoder(skip, reusedMemory(connection));
}

/** Writes the content, and its end unless the writer is over before. Failures are told to the writer. */
export async function pumpBody(
  writer: PieceWriter,
  connection: Connection,
  content: Content,
  sevenBitOnly: boolean,
  kind: Plan["content"] = "text",
): Promise<void> {
  const flush = pacedFlush(connection);
  // What is in memory was looked at before.
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
    // What stands before the end goes first: the outcome is unknown only from the end on.
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
 * How many turns of the microtask queue "at once" is: more than generators and streams within streams need to hand on a
 * chunk that is there. It costs a few microseconds where the source does pause.
 */
const TURNS = 64;

const SETTLED = Promise.resolve();

/**
 * Waits for the source, but not longer than the writer goes on. `pause`, if there is one, is called if the chunk is not there once only
 * promises had time to settle, since what the source has given must not wait for what it has not: the server's clock
 * runs, and it may refuse. No timer tells that: a timer of a test may stand still, and a real one would hold every chunk back.
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

/** Waits for the work, but not longer than the writer goes on. A race with one lasting promise would leak. */
function unlessOver(writer: PieceWriter, work: Promise<void>): Promise<void> {
  return new Promise((resolve, reject) => {
    writer.interrupt = () => resolve(undefined);
    if (writer.over) resolve(undefined);
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
