/** Python's `putcmd()`, `send()` and `getreply()`, for the caller's own commands. */
import { utf8 } from "../core/bytes.ts";
import { type Command, MASK } from "../core/command.ts";
import { unaskedReply } from "../core/own-command.ts";
import type { Reply } from "../core/reply.ts";
import type { Connection } from "./connection.ts";

const LF = 10;

/** Sends a command whose reply the caller fetches. */
export function putCommand(connection: Connection, command: Command): Promise<void> {
  connection.dialogue.requireFetch("a reply to putcmd() was not fetched by getreply(): it would answer this command");
  return sendRaw(connection, utf8(command.wire), connection.awaitsSecret ? MASK : command.shown);
}

/** Sends the caller's bytes, if any; keeps replies to them for `nextReply()`. */
export async function sendRaw(connection: Connection, octets: Uint8Array, shown: string): Promise<void> {
  if (octets.length === 0) return;
  connection.dialogue.allowCallerReplies(Math.max(1, octets.filter((octet) => octet === LF).length));
  connection.output.addBytes(octets);
  connection.settings.events.enabled?.sentRaw(shown);
  await connection.flush();
  if (!connection.writable) await new Promise<void>((resolve) => connection.onEnd(resolve));
  if (connection.end !== undefined) throw connection.end.toError({});
}

/** Resolves with the next reply, whatever it answers. */
export function nextReply(connection: Connection): Promise<Reply> {
  const command = unaskedReply();
  const reply = connection.replyTo(command);
  connection.dispatch(connection.dialogue.awaitCallerReply(command));
  connection.restartReplyTimer();
  return reply.then((value) => {
    connection.awaitsSecret = value.code === 334;
    return value;
  });
}
