/** Replies as they are kept in a queue or a ticket: plain values of JSON. */
import { makeReply, type Refused, type Reply } from "../core/reply.ts";

/** A reply as JSON has it. */
export type StoredReply = { readonly code: number; readonly text: string };

/** Refused address -> reply, in pairs: an address is no safe key of an object that JSON makes. */
export type StoredRefused = readonly (readonly [address: string, reply: StoredReply])[];

/** A reply for storing. */
export function storedReply({ code, message }: Reply): StoredReply {
  return { code, text: message };
}

/** The reply that was stored. */
export function readReply({ code, text }: StoredReply): Reply {
  return makeReply(code, text.split("\n"));
}

/** Refusals for storing. */
export function storedRefused(refused: Readonly<Record<string, Reply>>): StoredRefused {
  return Object.entries(refused).map(([address, reply]) => [address, storedReply(reply)]);
}

/** The refusals that were stored. */
export function readRefused(stored: StoredRefused): Refused {
  const refused: Refused = Object.create(null);
  for (const [address, reply] of stored) refused[address] = readReply(reply);
  return refused;
}
