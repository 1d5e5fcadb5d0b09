/** Text of others, fit to be shown on a terminal. */

/** One line, in which control characters, which could drive the terminal, are written out. */
export function printable(text: string): string {
  return printableLine(text.replaceAll("\n", " / "));
}

/** The same for what is one line already. */
export function printableLine(text: string): string {
  return text.replace(/[\x00-\x1f\x7f-\x9f]/g, (c) => `\\x${c.charCodeAt(0).toString(16).padStart(2, "0")}`);
}
