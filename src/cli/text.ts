/** Makes text of other programs safe for a terminal. */

/** Returns one line, with control characters escaped, since they could control the terminal. */
export function printable(text: string): string {
  return printableLine(text.replaceAll("\n", " / "));
}

/** The same for a text that is one line already. */
export function printableLine(text: string): string {
  return text.replace(/[\x00-\x1f\x7f-\x9f]/g, (c) => `\\x${c.charCodeAt(0).toString(16).padStart(2, "0")}`);
}
