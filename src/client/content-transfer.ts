/** The common part of the transfers of a message's content by DATA and by BDAT. */
import { DataEncoder } from "../core/body.ts";
import type { Output } from "../core/output.ts";
import type { RawReply } from "../core/reply.ts";
import type { Content } from "./content.ts";

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

/** Puts a content in memory, `bytes`, and its end into the output, as DATA has them. */
export function addMessage(output: Output, bytes: Uint8Array, { octets, dots }: Content): void {
  if (octets === bytes.length && dots !== undefined) {
    output.addContent(bytes, dots);
    output.addText(bytes.length === 0 || bytes[bytes.length - 1] === LF ? ".\r\n" : "\r\n.\r\n");
    return;
  }
  const encoder = new DataEncoder();
  output.addBytes(encoder.encode(bytes));
  output.addBytes(encoder.end());
}

const LF = 10;
