/**
 * A message's content on its way by BDAT (RFC 3030), from the last reply to the envelope to the last reply to the
 * message.
 *
 * A chunk always leaves whole, and the last one only after all before it: a source that fails never ends in LAST.
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

/** How the chunks go. */
export type ChunkSettings = Pick<Plan, "content" | "sevenBitOnly"> & {
  /** False: each chunk waits for the reply to the one before it. */
  readonly pipelining: boolean;
  /** How many replies answer the last chunk. */
  readonly expected: number;
};

/** Turns the octets of a content into those of the wire. */
export type Encoder = Pick<ChunkEncoder, "encode" | "end">;

const LF = 10;
const CR = 13;

/** The octets of a chunk: enough for its reply to weigh nothing, few enough for an early refusal to spare the rest. */
const CHUNK = 262_144;

/** While so many chunks are unanswered, no small one follows because the source pauses. */
const MOST_UNANSWERED = 32;

/** What BODY=BINARYMIME declares goes as it is. */
const AS_IT_IS: Encoder = { encode: (octets) => octets, end: () => new Uint8Array(0) };

/** The encoder for a content of this kind. One that was measured and has no lone CR or LF is not searched again. */
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
  /** Set while the source has nothing more, and what is held has to wait for a reply. */
  #paused: Flush | undefined;
  /** What left meanwhile, until the server has taken it. */
  #leaving: Promise<void> | undefined;
  #unlink: () => void = () => {};
  /** Limits the wait for the other replies to the last chunk, or for the rest of a reply that nothing asked for. */
  #bound: { release(): void } | undefined;
  #refusal: SMTPDataError | undefined;
  #lastHandedOver = false;
  /** How many writes there had been when the last chunk was put into the output. */
  #endedAt = 0;

  constructor(connection: Connection, content: Content, observer: TransferObserver, settings: ChunkSettings) {
    this.#connection = connection;
    this.#content = content;
    this.#observer = observer;
    this.#settings = settings;
    this.#encoder = encoderOf(settings.content, content);
    // Between two chunks no reply is owed that the end of the session would cut off.
    this.#unlink = connection.onEnd(() => this.lost());
  }

  /** Writes the content; the observer is told how that went. */
  start(): void {
    // What is broken already ends next: nothing of the message is on its way then.
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

  /** A piece of the content. What is held is sent once more is known to follow: the last chunk should have octets. */
  add(piece: Uint8Array, flush: Flush): Promise<void> | undefined {
    this.#paused = undefined;
    if (this.#heldLength >= CHUNK && !this.#mayCut) return this.#addAnswered(piece, flush);
    const leaves = this.#heldLength < CHUNK ? this.#leaving : this.#sendChunk(flush);
    this.#hold(this.#encoder.encode(piece));
    return leaves;
  }

  /** A chunk is cut with what is held, now or when the reply that it has to wait for is here. */
  pause(flush: Flush): Promise<void> | undefined {
    if (this.#mayCut) return this.#sendChunk(flush);
    this.#paused = flush;
    return undefined;
  }

  /** The last chunk waits for the replies as any other. */
  finish(): Promise<void> | undefined {
    this.#paused = undefined;
    if (this.#settings.pipelining || this.#owed === 0) return this.#leaving;
    return this.#allAnswered();
  }

  /** The last chunk. */
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

  /** The content cannot be completed: LAST must not be sent, and the server may have chunks already. */
  giveUp(error: SMTPException): void {
    this.#stop()?.undelivered(error);
    this.#connection.drop(disconnected(error.message, error.cause ?? error));
  }

  /** A reply to a chunk. */
  replied(command: Command, reply: RawReply): void {
    if (reply.code < 400 && !isPositive(reply.code)) return this.#broken(reply);
    if (isPositive(reply.code)) this.#connection.bdatAccepted = true;
    if (command.endsMessage) this.#lastReplied(reply);
    else this.#chunkReplied(reply);
  }

  /** The session ended before the last reply. */
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
      // It took a message of which it refused a part: nobody knows what it made of that.
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

  /** No further chunk may follow one that was refused; what is on its way already is answered first (RFC 3030 2). */
  #refused(reply: RawReply): void {
    this.#refusal ??= new SMTPDataError(reply.code, reply.message, { delivery: "rejected", reply: reply.reply });
    this.over = true;
    this.interrupt();
    this.#answered();
    // LMTP has a reply a recipient for the last chunk, but nobody says how many there are after a refusal.
    if (this.#lastHandedOver && this.#settings.expected > 1) {
      this.#stop()?.undelivered(this.#refusal);
      this.#connection.drop(disconnected("a part of the message was refused"));
    }
  }

  async #resetThenFail(): Promise<void> {
    // The connection is dropped next if that was a 421.
    if (this.#connection.fault === undefined && this.#connection.end === undefined) await this.#connection.reset();
    this.#stop()?.undelivered(this.#refusal);
  }

  /** Nothing asked for it while no reply is owed; no clock runs while the source pauses. */
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

  /** Without pipelining one chunk at a time is unanswered; with it, small ones of a slow source are not without end. */
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

  /** A chunk was taken: whoever waited for that goes on. */
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

  /** Nothing more may be written, and nothing more be told than what is told now. */
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

/** The end of the last line, if it lacks. An empty message has no line. */
function lastCrlf(bytes: Uint8Array): Uint8Array {
  return bytes.length === 0 || bytes[bytes.length - 1] === LF ? new Uint8Array(0) : Uint8Array.of(CR, LF);
}
