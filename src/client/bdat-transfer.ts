/**
 * Sends a message's content by BDAT (RFC 3030), from the last reply to the envelope to the last reply to the message.
 *
 * A chunk is always sent whole, and the last one only after all others: a source that fails never causes LAST.
 */

import { bdatCommand } from "../core/bdat-command.ts";
import { ChunkEncoder } from "../core/chunk-encoder.ts";
import type { Command, ReplyReceiver } from "../core/command.ts";
import type { Plan } from "../core/plan.ts";
import { isPositive, type RawReply } from "../core/reply.ts";
import { SMTPDataError, type SMTPException } from "../errors.ts";
import { type Flush, type PieceWriter, pumpBody } from "./body-pump.ts";
import { boundReplies, seemsUnknown } from "./chunking.ts";
import { type Connection, GRACE } from "./connection.ts";
import type { Content } from "./content.ts";
import type { TransferObserver } from "./content-transfer.ts";
import { disconnected, protocolBroken } from "./session-end.ts";

/** Settings of a BDAT transfer. */
export type ChunkSettings = Pick<Plan, "content" | "sevenBitOnly"> & {
  /** False: each chunk waits for the reply to the one before it. */
  readonly pipelining: boolean;
  /** How many replies answer the last chunk. */
  readonly expected: number;
};

/** Encodes content as the bytes that are sent. */
export type Encoder = Pick<ChunkEncoder, "encode" | "end">;

const LF = 10;
const CR = 13;

/** Bytes in a chunk: enough to make its reply cheap, few enough for an early refusal to spare the rest. */
const CHUNK = 262_144;

/** With this many chunks unanswered, a pause of the source does not send a small one. */
const MOST_UNANSWERED = 32;

/** BODY=BINARYMIME content is sent unchanged. */
const AS_IT_IS: Encoder = { encode: (octets) => octets, end: () => new Uint8Array(0) };

/** The encoder for this kind of content. Measured content without lone CR or LF is not searched again. */
export function encoderOf(kind: Plan["content"], { bytes, octets }: Content): Encoder {
  if (kind === "binary") return AS_IT_IS;
  return bytes === undefined || octets !== bytes.length
    ? new ChunkEncoder()
    : { ...AS_IT_IS, end: () => lastCrlf(bytes) };
}

/** Writes one message's content. */
export class BdatTransfer implements ReplyReceiver, PieceWriter {
  interrupt: () => void = () => {};
  over = false;
  readonly piece: number = CHUNK;
  readonly #connection: Connection;
  readonly #content: Content;
  readonly #settings: ChunkSettings;
  readonly #encoder: Encoder;
  readonly #replies: RawReply[] = [];
  #observer: TransferObserver | undefined;
  #held: Uint8Array[] = [];
  #heldLength = 0;
  #owed = 0;
  #answered: () => void = () => {};
  /** Set while the source pauses, and the held bytes have to wait for a reply. */
  #paused: Flush | undefined;
  /** The write that sends a chunk meanwhile, until the stream accepts it. */
  #leaving: Promise<void> | undefined;
  #unlink: () => void = () => {};
  /** Limits the wait for the other replies to the last chunk, or for the rest of an unsolicited reply. */
  #bound: { release(): void } | undefined;
  #refusal: SMTPDataError | undefined;
  #lastHandedOver = false;
  /** The number of writes at the time the last chunk was put into the output. */
  #endedAt = 0;

  constructor(connection: Connection, content: Content, observer: TransferObserver, settings: ChunkSettings) {
    this.#connection = connection;
    this.#content = content;
    this.#observer = observer;
    this.#settings = settings;
    this.#encoder = encoderOf(settings.content, content);
    // Between two chunks no reply is pending; otherwise, the end of the session would go unnoticed.
    this.#unlink = connection.onEnd(() => this.lost());
  }

  /** Writes the content; reports the outcome to the observer. */
  start(): void {
    // A broken connection ends next: nothing of the message was sent.
    if (this.over || this.#connection.fault !== undefined) return;
    const { bytes } = this.#content;
    if (bytes === undefined || bytes.length > CHUNK) {
      this.#connection.partlyReplied = this.#partlyReplied;
      const { sevenBitOnly, content } = this.#settings;
      void pumpBody(this, this.#connection, this.#content, sevenBitOnly, content);
      return;
    }
    this.#hold(this.#encoder.encode(bytes));
    this.end();
  }

  get held(): number {
    return this.#heldLength;
  }

  /** Adds a piece. Sends the held bytes only when more follows: the last chunk should not be empty. */
  add(piece: Uint8Array, flush: Flush): Promise<void> | undefined {
    this.#paused = undefined;
    if (this.#heldLength >= CHUNK && !this.#mayCut) return this.#addAnswered(piece, flush);
    const leaves = this.#heldLength < CHUNK ? this.#leaving : this.#sendChunk(flush);
    this.#hold(this.#encoder.encode(piece));
    return leaves;
  }

  /** Sends the held bytes as a chunk, now or after the reply that it has to wait for. */
  pause(flush: Flush): Promise<void> | undefined {
    if (this.#mayCut) return this.#sendChunk(flush);
    this.#paused = flush;
    return undefined;
  }

  /** The last chunk waits for replies as any other. */
  finish(): Promise<void> | undefined {
    this.#paused = undefined;
    if (this.#settings.pipelining || this.#owed === 0) return this.#leaving;
    return this.#allAnswered();
  }

  /** Sends the last chunk. */
  end(): void {
    this.#connection.rejectUnsolicited();
    if (!this.#connection.writable) return;
    this.#hold(this.#encoder.end());
    this.#lastHandedOver = true;
    this.#endedAt = this.#connection.writes;
    this.#send("last");
    this.#observer?.ended();
    this.#connection.flush();
  }

  /** Ends a transfer that cannot be completed: LAST must not be sent, and the server may have chunks. */
  giveUp(error: SMTPException): void {
    this.#stop()?.undelivered(error);
    this.#connection.drop(disconnected(error.message, error.cause ?? error));
  }

  /** Receives a reply to a chunk. */
  replied(command: Command, reply: RawReply): void {
    if (reply.code < 400 && !isPositive(reply.code)) return this.#broken(reply);
    if (isPositive(reply.code)) this.#connection.bdatAccepted = true;
    if (command.endsMessage) this.#lastReplied(reply);
    else this.#chunkReplied(reply);
  }

  /** Called when the session ends before the last reply. */
  lost(): void {
    const left = this.#lastHandedOver && this.#connection.writes > this.#endedAt;
    const delivery = left ? "unknown" : "not-sent";
    this.#unknownBy(this.#replies);
    this.#stop()?.undelivered(
      this.#refusal ?? this.#connection.end?.toError({ delivery, replies: this.#replies.map(({ reply }) => reply) }),
    );
  }

  #unknownBy(replies: readonly RawReply[]): SMTPDataError | undefined {
    return this.#connection.settings.chunking.unknownBy(replies, this.#connection);
  }

  #chunkReplied(reply: RawReply): void {
    const unknown = this.#unknownBy([reply]);
    if (unknown !== undefined) return this.giveUp(unknown);
    this.#owed--;
    if (isPositive(reply.code)) this.#goOn();
    else this.#refused(reply);
    if (this.#owed === 0 && this.#refusal !== undefined && !this.#lastHandedOver) void this.#resetThenFail();
  }

  #lastReplied(reply: RawReply): void {
    if (this.#refusal !== undefined) {
      // The server accepted a message after it refused a part of it: the outcome is unknown.
      return isPositive(reply.code) ? this.#broken(reply) : this.#stop()?.undelivered(this.#refusal);
    }
    this.#replies.push(reply);
    if (this.#replies.length < this.#settings.expected) {
      if (seemsUnknown(this.#replies, this.#connection)) this.#bound ??= boundReplies(this.#connection);
      else this.#bound?.release();
      return;
    }
    const unknown = this.#unknownBy(this.#replies);
    if (unknown !== undefined) this.giveUp(unknown);
    else this.#stop()?.complete(this.#replies);
  }

  /** No chunk may follow a refused one; chunks that are already sent are answered first (RFC 3030 2). */
  #refused(reply: RawReply): void {
    this.#refusal ??= new SMTPDataError(reply.code, reply.message, { delivery: "rejected", reply: reply.reply });
    this.over = true;
    this.interrupt();
    this.#answered();
    // In LMTP the last chunk has a reply for each recipient, but no RFC defines how many after a refusal.
    if (this.#lastHandedOver && this.#settings.expected > 1) {
      this.#stop()?.undelivered(this.#refusal);
      this.#connection.drop(disconnected("a part of the message was refused"));
    }
  }

  async #resetThenFail(): Promise<void> {
    // After a 421, the connection is dropped next.
    if (this.#connection.fault === undefined && this.#connection.end === undefined) await this.#connection.reset();
    this.#stop()?.undelivered(this.#refusal);
  }

  /** An unsolicited reply: none is pending, and no timer runs while the source pauses. */
  readonly #partlyReplied = (): void => {
    if (this.#owed > 0 || this.over) return;
    const why = protocolBroken("half an answer to the message before its end");
    this.#bound ??= this.#connection.setDeadline("dataInit", GRACE, why);
  };

  #broken(reply: RawReply): void {
    const end = protocolBroken(`${reply.code} as the answer to BDAT`);
    const delivery = this.#lastHandedOver ? "unknown" : "not-sent";
    this.#stop()?.undelivered(end.toError({ delivery, replies: this.#replies.map(({ reply }) => reply) }));
    this.#connection.drop(end);
  }

  #hold(octets: Uint8Array): void {
    this.#held.push(octets);
    this.#heldLength += octets.length;
  }

  /** Without pipelining, one chunk may be unanswered; with it, the number of small chunks is limited. */
  get #mayCut(): boolean {
    if (!this.#settings.pipelining) return this.#owed === 0;
    return this.#heldLength >= CHUNK || this.#owed < MOST_UNANSWERED;
  }

  #sendChunk(flush: Flush): Promise<void> | undefined {
    this.#connection.rejectUnsolicited();
    if (this.over) return undefined;
    this.#send("more");
    return flush();
  }

  async #addAnswered(piece: Uint8Array, flush: Flush): Promise<void> {
    await this.#allAnswered();
    if (!this.over) await this.add(piece, flush);
  }

  async #allAnswered(): Promise<void> {
    await this.#leaving;
    while (this.#owed > 0 && !this.over) {
      await new Promise<void>((resolve) => {
        this.#answered = resolve;
      });
    }
  }

  /** Continues after the server accepted a chunk. */
  #goOn(): void {
    this.#answered();
    const flush = this.#paused;
    if (flush === undefined || this.#heldLength === 0 || !this.#mayCut) return;
    this.#paused = undefined;
    const leaving = this.#sendChunk(flush);
    this.#leaving = leaving?.then(() => {
      this.#leaving = undefined;
    });
  }

  #send(place: "more" | "last"): void {
    const command = bdatCommand(this.#heldLength, place, this);
    this.#owed++;
    this.#connection.send(command);
    for (const octets of this.#held) this.#connection.output.addBytes(octets);
    this.#held = [];
    this.#heldLength = 0;
  }

  /** Stops writing; the returned observer receives the last report. */
  #stop(): TransferObserver | undefined {
    const observer = this.#observer;
    this.#observer = undefined;
    this.over = true;
    this.interrupt();
    this.#answered();
    this.#unlink();
    this.#bound?.release();
    if (this.#connection.partlyReplied === this.#partlyReplied) this.#connection.partlyReplied = undefined;
    return observer;
  }
}

/** The missing end of the last line. An empty message has no line. */
function lastCrlf(bytes: Uint8Array): Uint8Array {
  return bytes.length === 0 || bytes[bytes.length - 1] === LF ? new Uint8Array(0) : Uint8Array.of(CR, LF);
}
