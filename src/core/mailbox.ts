/** Envelope addresses, and a quick test for the common form. */

/** An address in MAIL and RCPT. */
export type Path = {
  /** The text between `<` and `>` (RFC 5321 4.1.2); "" for the null path. */
  readonly path: string;
  /** True if the path is ASCII. */
  readonly ascii: boolean;
  /** For a non-ASCII path, returns the path with its domain as A-labels, if there is one. */
  readonly toAscii?: () => Path | undefined;
};

/** A parsed envelope address. */
export type Mailbox = Path & {
  /** The text before the `@`, with its quotes. */
  readonly localPart: string;
  /** The text after the `@`; undefined for a name without one, and for the null path. */
  readonly domain: string | undefined;
};

const PLAIN = /^[\w!#$%&'*+\-./=?^`{|}~]+@[\w.-]+$/;

/** Whether a text has the common form `a@b`, which is its own path and needs no scan. */
export function isPlainPath(text: string): boolean {
  return PLAIN.test(text);
}
