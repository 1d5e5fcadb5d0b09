/**
 * A message's content on its way, from the 354 to the last reply. The end is sent only after all of the content, so
 * that nobody can take half a message for a whole one; an answer that comes early is the answer.
 */
import { DataEncoder } from "../core/body.ts";
import { Command } from "../core/command.ts";
import { isPositive, type RawReply } from "../core/reply.ts";
import { type DeliveryOutcome, SMTPDataError, type SMTPException } from "../errors.ts";
import { type Connection, GRACE } from "./connection.ts";
import { PIECE } from "./piece.ts";
import { disconnected, protocolBroken, type SessionEnd } from "./session-end.ts";
import type { Content } from "./source.ts";
import { type Flush, longDataEncoder, type PieceWriter, streamBody } from "./stream-body.ts";

/** Who is told how the transfer goes; of `complete` and `undelivered` one is called, once. */
export type TransferObserver = {
  /** The end is in the output, not yet flushed: the next transaction may put its envelope behind it. */
  ended(): void;
  /** All replies to the message are here. */
  complete(replies: readonly RawReply[]): void;
  /** The message was not delivered, or nobody knows. */
  undelivered(error: unknown): void;
};

/** What was taken is in the output. */
const leave = (flush: Flush): Promise<void> | undefined => flush();

/** One message's content on its way. */
export type DataTransfer = PieceWriter & {
  /** Stands for the end of the message; its replies come here. */
  readonly endCommand: Command;
  /** After the 354: writes the content; `expected` replies will answer it. */
  start(expected: number, sevenBitOnly: boolean): void;
};

/** A transfer that is yet to start. */
export function makeDataTransfer(connection: Connection, content: Content, observer: TransferObserver): DataTransfer {
  const { dialogue, output } = connection;
  let encoder = new DataEncoder();
  const endCommand = Command.endOfData();
  const replies: RawReply[] = [];
  let expected = 1;
  let answer: { release(): void } | undefined;
  let endHandedOver = false;
  /** How many writes there had been when the end was put into the output. */
  let endedAt = 0;

  const transfer: DataTransfer & { over: boolean } = {
    endCommand,
    piece: PIECE,
    interrupt() {},
    over: false,

    start(count, sevenBitOnly) {
      expected = count;
      // The server said more than its 354 at once: that is its answer to the message, and comes here next.
      if (dialogue.position !== "body" || connection.fault) return;
      if (dialogue.leftover) return awaitAnswer();
      const { bytes } = content;
      if (bytes === undefined || bytes.length > PIECE) return stream(sevenBitOnly);
      output.addBytes(encoder.encode(bytes));
      end();
    },

    add(piece, flush) {
      output.addBytes(encoder.encode(piece));
      return output.length < PIECE ? undefined : flush();
    },

    pause: leave,
    finish: leave,

    end,
    giveUp,
  };

  endCommand.receiver = {
    replied(_, reply) {
      if (!endHandedOver) return earlyReply(reply);
      // 3yz is no answer to a message: nobody knows what became of it.
      if (reply.code < 400 && !isPositive(reply.code))
        return broken(`${reply.code} as the answer to a message`, "unknown");
      replies.push(reply);
      if (replies.length === expected) finish()?.complete(replies);
    },

    lost: () => lost(connection.end, endHandedOver && connection.writes > endedAt ? "unknown" : "not-sent"),
  };

  function end(): void {
    if (!connection.writable) return;
    if (dialogue.leftover) return awaitAnswer();
    output.addBytes(encoder.end());
    endedAt = connection.writes;
    dialogue.bodySent();
    endHandedOver = true;
    observer.ended();
    connection.flush();
  }

  /** There is no other way out of DATA than the end, which must not be sent: the connection is dropped. */
  function giveUp(error: SMTPException): void {
    finish()?.undelivered(error);
    connection.drop(disconnected(error.message, error.cause ?? error));
  }

  function lost(why: SessionEnd | undefined, delivery: DeliveryOutcome): void {
    finish()?.undelivered(why?.toError({ delivery, replies: replies.map(({ reply }) => reply) }));
  }

  function stream(sevenBitOnly: boolean): void {
    encoder = longDataEncoder(content, connection);
    // A source may pause for ever: no clock runs then, and nothing else looks at what came.
    connection.partlyReplied = partlyReplied;
    void streamBody(transfer, connection, content, sevenBitOnly);
  }

  /** The server has its verdict before the message is over. */
  function earlyReply({ code, message, reply }: RawReply): void {
    const text = `an answer to the message before its end: ${code} ${message}`;
    if (code < 400) return broken(text, "not-sent");
    finish()?.undelivered(new SMTPDataError(code, message, { delivery: "rejected", reply }));
    connection.drop(disconnected(text));
  }

  function broken(how: string, delivery: DeliveryOutcome): void {
    const why = protocolBroken(how);
    lost(why, delivery);
    connection.drop(why);
  }

  function partlyReplied(): void {
    if (!endHandedOver) awaitAnswer();
  }

  /** Half an answer is here before the end: its rest decides, and the end is not sent, or it would pass for the answer to that. */
  function awaitAnswer(): void {
    const why = protocolBroken("half an answer to the message before its end");
    answer ??= connection.bound("dataInit", GRACE, why);
  }

  function finish(): TransferObserver | undefined {
    if (transfer.over) return undefined;
    transfer.over = true;
    answer?.release();
    if (connection.partlyReplied === partlyReplied) connection.partlyReplied = undefined;
    transfer.interrupt();
    return observer;
  }

  return transfer;
}
