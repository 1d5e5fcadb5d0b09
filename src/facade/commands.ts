/** The methods that say one command each, and those by which the caller speaks for himself: loaded with the first of them. */
import type { Conversation } from "../client/conversation.ts";
import { nextReply, putCommand, sendRaw } from "../client/raw.ts";
import { isAscii } from "../core/a-label.ts";
import { parseMailbox, quoteaddr } from "../core/address.ts";
import { checkArgument, utf8, wrongType } from "../core/bytes.ts";
import { Command } from "../core/command.ts";
import { offers } from "../core/features.ts";
import { ownCommand, ownResponse } from "../core/own-command.ts";
import { asServerTakesIt, type Server } from "../core/plan.ts";
import type { Reply } from "../core/reply.ts";
import { SMTPNotSupportedError } from "../errors.ts";
import { mailParametersOf, rcptParametersOf } from "./envelope.ts";
import { checkHostName } from "./options.ts";

export { sendData } from "../client/send-data.ts";

/** HELO or EHLO, with a name of the caller's if he gives one. */
export async function hello(conversation: Conversation, verb: "EHLO" | "HELO", name = ""): Promise<Reply> {
  return conversation.hello(verb, name === "" ? undefined : checkHostName(name, "name"));
}

/** EHLO, and HELO if that is refused, unless one of them was said. */
export async function helloIfNeeded(conversation: Conversation): Promise<void> {
  conversation.live();
  if (!conversation.answered) await conversation.helloIfNeeded();
}

/** MAIL. */
export async function mail(conversation: Conversation, sender: string, options: unknown): Promise<Reply> {
  const mailbox = parseMailbox(sender, "sender");
  const given = (await mailParametersOf(options))(conversation.introduction);
  // RFC 6531 3.4: an address that is not ASCII has to be announced.
  const box = asServerTakesIt(mailbox, conversation.introduction);
  const announced = box.ascii || given.includes("SMTPUTF8") ? given : [...given, "SMTPUTF8"];
  return conversation.live().request(Command.mail(box, announced));
}

/** RCPT. */
export async function rcpt(conversation: Conversation, recipient: string, options: unknown): Promise<Reply> {
  const mailbox = parseMailbox(recipient, "recipient");
  const given = (await rcptParametersOf(options))(conversation.introduction);
  return conversation.live().request(Command.rcpt(asServerTakesIt(mailbox, conversation.introduction), given));
}

/**
 * VRFY and EXPN, of an address or of a name that is none.
 * @throws {SMTPNotSupportedError} if it is not ASCII and the server lacks SMTPUTF8; a domain alone goes as A-label
 */
export async function ask(conversation: Conversation, verb: "VRFY" | "EXPN", address: string): Promise<Reply> {
  return docmd(conversation, verb, questionFor(bareAddress(address), conversation.introduction));
}

/** Any command but STARTTLS. */
export async function docmd(conversation: Conversation, verb: string, args = ""): Promise<Reply> {
  const command = ownCommand(verb, args);
  if (command.verb === "STARTTLS") throw new RangeError("the command STARTTLS needs a handshake: call starttls()");
  const connection = conversation.live();
  // In the middle of docmd("AUTH", …) it is no command, but the answer to a challenge, and a secret.
  return connection.request(connection.dialogue.position === "auth" ? ownResponse(verb) : command);
}

/** Any command; its reply is for `getreply`. */
export async function putcmd(conversation: Conversation, verb: string, args: string): Promise<void> {
  const command = ownCommand(verb, args);
  return putCommand(conversation.live(), command);
}

/** The next reply. */
export async function getreply(conversation: Conversation): Promise<Reply> {
  return nextReply(conversation.live());
}

/** Octets as they are. */
export async function send(conversation: Conversation, bytes: unknown): Promise<void> {
  const octets = typeof bytes === "string" ? utf8(bytes) : bytes;
  if (!(octets instanceof Uint8Array)) throw wrongType("bytes", "a string or a Uint8Array", bytes);
  return sendRaw(conversation.live(), octets, `${octets.length} octets`);
}

/** Without angle brackets, and not checked for being an address, as in Python. */
function bareAddress(address: unknown): string {
  const quoted = quoteaddr(checkArgument(address, "address"));
  return quoted.startsWith("<") && quoted.endsWith(">") ? quoted.slice(1, -1) : quoted;
}

/** RFC 6531 3.7.4.2: what is not ASCII is announced by SMTPUTF8 behind it. */
function questionFor(text: string, { features }: Server): string {
  if (isAscii(text)) return text;
  if (offers(features, "SMTPUTF8")) return `${text} SMTPUTF8`;
  const ascii = asciiFormOf(text);
  if (ascii !== undefined) return ascii;
  const message = `the address ${JSON.stringify(text)} needs the extension SMTPUTF8, which the server does not offer`;
  throw new SMTPNotSupportedError(message, { capability: "SMTPUTF8" });
}

function asciiFormOf(text: string): string | undefined {
  try {
    return parseMailbox(text, "address").toAscii?.()?.path;
  } catch {
    return undefined; // a name that is no address
  }
}
