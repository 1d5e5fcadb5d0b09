/** The common part of the transfers of a message's content by DATA and by BDAT. */
import type { RawReply } from "../core/reply.ts";

/** Observes a transfer; exactly one of `complete` and `undelivered` is called, once. */
export type TransferObserver = {
  /** The end is in the output, not yet flushed: the next transaction may append its envelope. */
  ended(): void;
  /** All replies to the message have arrived. */
  complete(replies: readonly RawReply[]): void;
  /** The message was not delivered, or the outcome is unknown. */
  undelivered(error: unknown): void;
};

/** A message in memory of up to this many bytes is one write by DATA; larger ones are split into pieces. */
export const PIECE = 65_536;
