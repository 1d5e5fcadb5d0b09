/** Commands in the caller's own words. */
import { checkArgument } from "./bytes.ts";
import { Command, MASK } from "./command.ts";
import { SecretCommand } from "./secret-command.ts";

/**
 * Any verb with any arguments: Python's `docmd()`. Arguments of AUTH are secret, and so is the text of the reply:
 * what they decode to, and a server may echo, is not looked for.
 * @throws {TypeError} or {RangeError} if they cannot stand in a command line
 */
export function ownCommand(verb: string, args: string): Command {
  const line = checkArgument(verb, "the command");
  const word = line.trim().split(" ", 1)[0]?.toUpperCase() ?? "";
  // Who writes a message by hand ends it by hand; for the dialogue that is a command like any other.
  const name = word === "." ? "END" : word;
  const rest = checkArgument(args, "the argument");
  if (name !== "AUTH") return new Command(name, rest === "" ? line : `${line} ${rest}`);
  const whole = `${line} ${rest}`.trim();
  const [, mechanism = "", ...secret] = whole.split(" ");
  return secret.length === 0
    ? new Command(name, whole)
    : new SecretCommand(name, `AUTH ${mechanism} ${MASK}`, [secret.join(" ")]);
}

/**
 * A line that answers a challenge, as the caller wrote it.
 * @throws {TypeError} or {RangeError} if it cannot be a line
 */
export function ownResponse(line: string): Command {
  const secret = checkArgument(line, "the response");
  return secret === "" ? new Command("", "") : new SecretCommand("", MASK, [secret]);
}

/** Stands for a reply that the caller asks for without a command of ours: Python's `getreply()`. */
export function unaskedReply(): Command {
  return new Command("?", "");
}
