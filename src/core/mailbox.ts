/** An envelope address, and the reading of those that nearly all are. */

/** An envelope address, taken apart. */
export type Mailbox = {
  /** What goes between `<` and `>` (RFC 5321 4.1.2); "" for the null path. */
  readonly path: string;
  /** What stands before the `@`, with its quotes. */
  readonly localPart: string;
  /** What stands behind the `@`; undefined for a name without one, and for the null path. */
  readonly domain: string | undefined;
  /** True if the path can be sent without SMTPUTF8. */
  readonly ascii: boolean;
  /** The mailbox for servers without SMTPUTF8, if there is one; where it is not ASCII. */
  readonly toAscii?: () => Mailbox | undefined;
};

/** What nearly all addresses look like; they need no scan. */
const PLAIN = /^[\w!#$%&'*+\-./=?^`{|}~]+@[\w.-]+$/;

/** The mailbox of `a@b`; undefined for anything else, which `parseMailbox` reads. */
export function plainMailbox(text: string): Mailbox | undefined {
  if (!PLAIN.test(text)) return undefined;
  const at = text.indexOf("@");
  return { path: text, localPart: text.slice(0, at), domain: text.slice(at + 1), ascii: true };
}
