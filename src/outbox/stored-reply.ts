/** Replies as they are kept in a queue or a ticket: plain values of JSON. */
import { noteRefusal, refusesContent } from "../core/refused-command.ts";
import { makeReply, type Refused, type Reply } from "../core/reply.ts";

/** A reply as JSON has it. */
export type StoredReply = {
  readonly code: number;
  readonly text: string;
  /** True for 552 to the content, which is permanent, unlike 552 to RCPT; absent otherwise. */
  readonly refusesContent?: true;
};

/** Refused address -> reply, in pairs: an address is no safe key of an object that JSON makes. */
export type StoredRefused = readonly (readonly [address: string, reply: StoredReply])[];

/** A reply for storing. */
export function storedReply(reply: Reply): StoredReply {
  const stored = { code: reply.code, text: storedText(reply.message) };
  return reply.code === 552 && refusesContent(reply) ? { ...stored, refusesContent: true } : stored;
}

/**
 * Text as it is stored: a server may say what it likes, but PostgreSQL takes no NUL in JSON and no half of a surrogate
 * pair, and no screen should obey control characters.
 */
export function storedText(text: string): string {
  return text
    .replace(CONTROLS, (control) => `\\x${control.charCodeAt(0).toString(16).padStart(2, "0")}`)
    .replace(LONE_SURROGATES, "\ufffd");
}

/** All but line feeds and tabs. */
const CONTROLS = /[\x00-\x08\x0b-\x1f\x7f]/g;
const LONE_SURROGATES = /\p{Surrogate}/gu;

/** The reply that was stored. */
export function readReply({ code, text, refusesContent: ofContent }: StoredReply): Reply {
  const reply = makeReply(code, text.split("\n"));
  if (ofContent) noteRefusal(reply, ".");
  return reply;
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
