/** Envelope addresses, and how to know those that nearly all are. */

/** An address as MAIL and RCPT have it. */
export type Path = {
  /** What goes between `<` and `>` (RFC 5321 4.1.2); "" for the null path. */
  readonly path: string;
  /** True if the path is all ASCII. */
  readonly ascii: boolean;
  /** The same with the domain as A-labels, if there is such an address; where the path is not ASCII. */
  readonly toAscii?: () => Path | undefined;
};

/** An envelope address, taken apart. */
export type Mailbox = Path & {
  /** What stands before the `@`, with its quotes. */
  readonly localPart: string;
  /** What stands behind the `@`; undefined for a name without one, and for the null path. */
  readonly domain: string | undefined;
};

const PLAIN = /^[\w!#$%&'*+\-./=?^`{|}~]+@[\w.-]+$/;

/** Whether a text is an address like nearly all: `a@b`, which is its own path and needs no scan. */
export function isPlainPath(text: string): boolean {
  return PLAIN.test(text);
}
