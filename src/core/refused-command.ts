/**
 * The command that a refusal answered. A reply does not tell: "550 no" may answer RCPT, or a message's content; the
 * plug-ins' errors name the command.
 */
import type { Reply } from "./reply.ts";

const commands = new WeakMap<Reply, string>();

/** Remembers what a refusal answered: a verb, "." for the end of the content, or "AUTH" and the mechanism. */
export function noteRefusal(reply: Reply, command: string): void {
  commands.set(reply, command);
}

/** What a refusal answered, as `noteRefusal` has it; undefined for any other reply. */
export function refusedCommand(reply: Reply | undefined): string | undefined {
  return reply && commands.get(reply);
}
