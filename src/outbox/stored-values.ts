/** Values that come back from a store, checked: another version may have written them. */
import { acceptedBefore, field } from "./error-fields.ts";
import type { HeldMessage } from "./store.ts";
import type { StoredRefused, StoredReply } from "./stored-reply.ts";
import type { TicketAnswer } from "./ticket.ts";

/** The answer in a ticket; one that cannot be read says nothing, so that the message is held. */
export function readAnswer(text: string | undefined): TicketAnswer | undefined {
  const value = parse(text);
  const outcome = field(value, "outcome", "string");
  const said = field(value, "text", "string") ?? "";
  const refused = field(value, "refused", "object");
  if (outcome === "unknown") {
    const known = { refused: isRefused(refused) ? refused : [], accepted: acceptedBefore(value) };
    const isFound = field(value, "found", "string") === "not-delivered";
    return { outcome, text: said, ...known, ...(isFound && { found: "not-delivered" }) };
  }
  const code = field(value, "code", "number");
  if (outcome !== "delivered" || code === undefined || !isRefused(refused)) return undefined;
  return { outcome, code, text: said, refused };
}

/** An entry of the list of held messages. */
export function readHeld(text: string | undefined): HeldMessage | undefined {
  const value = parse(text);
  const id = field(value, "id", "string");
  const since = field(value, "since", "number");
  if (id === undefined || since === undefined) return undefined;
  const reason = field(value, "reason", "string") === "lost" ? "lost" : "in-flight";
  return { id, since, reason, messageId: field(value, "messageId", "string") ?? "" };
}

/** True for refusals as they are stored. */
export function isRefused(value: unknown): value is StoredRefused {
  return (
    Array.isArray(value) &&
    value.every((pair) => Array.isArray(pair) && typeof pair[0] === "string" && isReply(pair[1]))
  );
}

function isReply(value: unknown): value is StoredReply {
  return field(value, "code", "number") !== undefined && field(value, "text", "string") !== undefined;
}

function parse(text: string | undefined): unknown {
  try {
    return text === undefined ? undefined : JSON.parse(text);
  } catch {
    return undefined;
  }
}
