/** Commands of the caller's own. */
import { checkArgument } from "./bytes.ts";
import { Command, MASK } from "./command.ts";
import { SecretCommand } from "./secret-command.ts";

/**
 * Any verb with any arguments: Python's `docmd()`. Arguments of AUTH are secret; the text of the reply is masked as a
 * whole, because the forms in which a server may echo them are unknown.
 * @throws {TypeError} or {RangeError} if they cannot be part of a command line
 */
export function ownCommand(verb: string, args: string): Command {
  const line = checkArgument(verb, "the command");
  const word = line.trim().split(" ", 1)[0]?.toUpperCase() ?? "";
  // A caller that writes a message itself also ends it; the dialogue treats the end as a normal command.
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
 * The caller's own response to a challenge.
 * @throws {TypeError} or {RangeError} if it cannot be a line
 */
export function ownResponse(line: string): Command {
  const secret = checkArgument(line, "the response");
  return secret === "" ? new Command("", "") : new SecretCommand("", MASK, [secret]);
}

/** Represents a reply that the caller requests without a command of the library: Python's `getreply()`. */
export function unaskedReply(): Command {
  return new Command("?", "");
}
