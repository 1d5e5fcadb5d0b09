/** What the transfers of a message's content by DATA and by BDAT have in common. */
import type { RawReply } from "../core/reply.ts";

/** Learns how a transfer goes; of `complete` and `undelivered` one is called, once. */
export type TransferObserver = {
  /** The end is in the output, not yet flushed: the next transaction may put its envelope behind it. */
  ended(): void;
  /** All replies to the message are here. */
  complete(replies: readonly RawReply[]): void;
  /** The message was not delivered, or nobody knows. */
  undelivered(error: unknown): void;
};

/** A message in memory of at most this many octets is one write by DATA; more goes in pieces of about that size. */
export const PIECE = 65_536;
