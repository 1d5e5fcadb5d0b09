/** Parses the arguments of commands for the test server. */
import type { TestRecipient } from "./message.ts";

/** An address and its parameters. */
export type Path = TestRecipient;

/** Parses the text after MAIL FROM: or RCPT TO:; undefined if it is invalid. */
export function parsePath(line: string, command: string): Path | undefined {
  if (!line.toUpperCase().startsWith(command)) return undefined;
  const [, address, rest] =
    /^ ?<((?:"(?:[^"\\]|\\.)*"|[^<>\s"])*)>((?: \S+)*) *$/.exec(line.slice(command.length)) ?? [];
  if (address === undefined) return undefined;
  const parameters: Record<string, string | true> = Object.create(null);
  for (const word of (rest ?? "").split(" ").filter((one) => one !== "")) {
    const at = word.indexOf("=");
    parameters[(at < 0 ? word : word.slice(0, at)).toUpperCase()] = at < 0 ? true : word.slice(at + 1);
  }
  return { address, parameters };
}

/** A word, and the rest of the line if there is one. */
export function splitOnce(line: string): [string, string | undefined] {
  const at = line.indexOf(" ");
  return at < 0 ? [line, undefined] : [line.slice(0, at), line.slice(at + 1)];
}
