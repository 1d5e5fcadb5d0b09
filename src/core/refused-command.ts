/**
 * Stores the command that a refusal answered. A reply does not contain it: "550 no" may answer RCPT, or a message's
 * content; the errors of the plug-ins name the command.
 */
import type { Reply } from "./reply.ts";

const commands = new WeakMap<Reply, string>();

/** Stores the command of a refusal: a verb, "." for the end of the content, or "AUTH" and the mechanism. */
export function noteRefusal(reply: Reply, command: string): void {
  commands.set(reply, command);
}

/** The command of a refusal, as passed to `noteRefusal`; undefined for any other reply. */
export function refusedCommand(reply: Reply | undefined): string | undefined {
  return reply && commands.get(reply);
}

/** True if a reply refuses a message's content: after DATA's dot or BDAT; in LMTP for one recipient (RFC 2033 4.2). */
export function refusesContent(reply: Reply | undefined): boolean {
  const command = refusedCommand(reply);
  return command === "." || command === "BDAT";
}

/**
 * True if a recipient's refusal is temporary: 4yz, and 552 to RCPT, which means 452 there (RFC 5321 4.5.3.1.10). After
 * the content, 552 means that the message is too large or the mailbox full (RFC 5321 4.2.3), which is permanent.
 */
export function mayPass(reply: Reply): boolean {
  const { code } = reply;
  return (code >= 400 && code < 500) || (code === 552 && !refusesContent(reply));
}

/**
 * True if a reply to RCPT says that the transaction has no room for more recipients: 452, or 552 from older servers
 * (RFC 5321 4.5.3.1.10). With another enhanced status code than X.5.3, the mailbox or the server is full.
 */
export function saysNoRoom(reply: Reply): boolean {
  const { code, enhancedCode = ".5.3" } = reply;
  return (code === 452 || code === 552) && !refusesContent(reply) && enhancedCode.endsWith(".5.3");
}
