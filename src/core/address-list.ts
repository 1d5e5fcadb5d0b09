/**
 * Finds the mailboxes in address text, of an argument or of a header field (RFC 5322 3.4, 4.4). What can be read in
 * two ways is refused, never guessed: text of a display name or a comment must not become a recipient.
 */
import { aLabel, isAscii } from "./a-label.ts";
import type { Mailbox } from "./mailbox.ts";

/** Says what is wrong with a text, by throwing. */
export type Fail = (reason: string) => never;

/** The mailbox of parts that were checked. */
export function makeMailbox(localPart: string, domain?: string): Mailbox {
  const path = domain === undefined ? localPart : `${localPart}@${domain}`;
  return isAscii(path) ? { path, localPart, domain, ascii: true } : new Utf8Mailbox(path, localPart, domain);
}

class Utf8Mailbox implements Mailbox {
  readonly path: string;
  readonly localPart: string;
  readonly domain: string | undefined;
  readonly ascii = false;

  constructor(path: string, localPart: string, domain: string | undefined) {
    this.path = path;
    this.localPart = localPart;
    this.domain = domain;
  }

  toAscii(): Mailbox | undefined {
    return aLabel(this);
  }
}

/**
 * All mailboxes of `text`, in order: groups flattened, display names, comments and source routes dropped.
 * With "one", lists and groups are refused, and so is white space inside of the address. With "senders", a display name
 * with empty brackets gives no mailbox, which would be the null path. One pass, in linear time.
 */
export function scanAddresses(text: string, expected: "one" | "many" | "senders", fail: Fail): readonly Mailbox[] {
  const many = expected !== "one";
  const found: Mailbox[] = [];
  let place: "name" | "angle" | "after" = "name";
  /** The words since the entry or its `<` began, and their last character; a quoted string that opens them, by length. */
  let words = "";
  let last = "";
  let quoted = 0;
  /** The words can be a display name only; they have an unquoted `@`; white space follows the last one. */
  let nameOnly = false;
  let hasAt = false;
  let gap = false;
  /** The display name before the `<`; the words with an unquoted `@` in it, or in what may become one. */
  let name = "";
  let addresses: string[] = [];
  /** The last entry was a name without `@`: the first half of a display name, maybe, that a comma cuts in two. */
  let bare = false;
  let route = "";
  let inGroup = false;
  let beforeGroup = 0;

  function clear(next: typeof place): void {
    words = last = "";
    quoted = 0;
    nameOnly = hasAt = gap = false;
    place = next;
  }

  function addWord(word: string): void {
    const first = word.charAt(0);
    if (place === "after") fail('text behind the ">"');
    if (words === "") {
      if (first === '"') quoted = word.length;
      if (first === "[") nameOnly = true;
    } else {
      // Only beside a dot and an "@" may the words of an address stand apart (RFC 5322 4.4).
      const beside = ".@".includes(last) || ".@".includes(first);
      if (!beside || (gap && !many) || first === '"' || last === "]") nameOnly = true;
      if (quoted === words.length ? first !== "@" : first === "[" && last !== "@") nameOnly = true;
    }
    if (first === "[" && !LITERAL.test(word)) nameOnly = true;
    if (first === "=" && isEncodedWord(word)) nameOnly = true;
    else if (first !== '"' && word.includes("@")) {
      hasAt = true;
      if (place === "name") addresses.push(word);
    }
    words += word;
    last = word.charAt(word.length - 1);
    gap = false;
  }

  function addMailbox(): void {
    const at = words.indexOf("@", quoted);
    const localPart = at < 0 ? words : words.slice(0, at);
    const domain = at < 0 ? undefined : words.slice(at + 1);
    const whole = domain === undefined ? quoted === 0 : localPart !== "" && domain !== "" && !domain.includes("@");
    if (nameOnly || !whole || /\s/.test(words.slice(quoted))) fail("text that is not an address");
    if (domain?.includes("=?")) fail("an encoded word where a domain should be");
    found.push(makeMailbox(localPart, domain));
  }

  function endEntry(): void {
    if (place === "angle") fail('a "<" without ">"');
    if (place === "name" && words !== "") {
      addMailbox();
      bare = found.at(-1)?.domain === undefined;
    }
    if (addresses.length > 0) addresses = [];
    clear("name");
  }

  function openAngle(): void {
    if (place !== "name") fail('a second "<"');
    name = words;
    route = "";
    clear("angle");
  }

  function closeAngle(): void {
    if (place !== "angle") fail('a ">" without "<"');
    if (name !== "" && bare) fail("an unquoted comma in a display name");
    if (words !== "") addMailbox();
    else if (route !== "" || (name !== "" && !many)) fail("no address");
    else found.push(makeMailbox(""));
    checkDisplayName(found.at(-1)?.path ?? "");
    if (words === "" && name !== "" && expected === "senders") found.pop();
    bare = false;
    clear("after");
  }

  /** A display name may be the address once more, unquoted, as some programs write it; any other one is ambiguous. */
  function checkDisplayName(path: string): void {
    if (addresses.length === 0 || isSame(name, path) || addresses.every((one) => isSame(one, path))) return;
    fail('another address before the "<"');
  }

  /** A source route is read and dropped (RFC 5321 4.1.2, appendix C). */
  function endHop(separator: string): void {
    if (separator === ";" || route === ":" || nameOnly || !/^@[^@]+$/.test(words)) fail("text that is not an address");
    clear("angle");
    route = separator;
  }

  function separate(separator: string): void {
    if (place === "angle") return endHop(separator);
    if (!many) fail("more than one address");
    if (separator === ":") return openGroup();
    if (separator === ";" && !inGroup) fail('a misplaced ";"');
    endEntry();
    if (separator === ",") return;
    inGroup = bare = false;
    place = "after";
  }

  function openGroup(): void {
    if (inGroup || hasAt || words === "") fail('a misplaced ":"');
    if (bare) fail("an unquoted comma in a display name");
    clear("name");
    inGroup = true;
    beforeGroup = found.length;
  }

  for (let at = 0; at < text.length; ) {
    const character = text.charAt(at);
    const end = endOfToken(text, at) ?? fail(`a misplaced or open ${character}`);
    if (character === " " || character === "\t") gap = true;
    else if (character === "<") openAngle();
    else if (character === ">") closeAngle();
    else if (",:;".includes(character)) separate(character);
    else if (character !== "(") addWord(text.slice(at, end));
    at = end;
  }
  endEntry();
  if (inGroup && found.length > beforeGroup) fail('a group without ";"');
  return found;
}

const TEXT = /[^ \t()<>[\]:;,"\\]+/y;
/** RFC 2047 2. In it no character is special, though some programs leave in what section 5 forbids in a phrase. */
const ENCODED_WORD = /=\?[^?\s]+\?[bq]\?[^?\s]*\?=(?=[\s<(:]|$)/iy;
const CLOSED_BY: { readonly [open: string]: string } = { '"': '"', "(": ")", "[": "]" };
const LITERAL = /^\[[^\s()<>[\],;@"\\]+\]$/;

/** Where the token ends that begins at `at`: a run of text, a quoted string, a comment (they nest), or one character. */
function endOfToken(text: string, at: number): number | undefined {
  const open = text.charAt(at);
  const encoded = open === "=" ? endOfMatch(ENCODED_WORD, text, at) : undefined;
  const end = encoded ?? endOfMatch(TEXT, text, at);
  if (end !== undefined) return end;
  if (" \t<>,:;".includes(open)) return at + 1;
  const close = CLOSED_BY[open];
  let depth = 0;
  for (let next = at; close !== undefined && next < text.length; next++) {
    const character = text.charAt(next);
    if (character === "\\") next++;
    else if (depth > 0 && character === close) depth--;
    else if (character === open) depth++;
    if (depth === 0) return next + 1;
  }
  return undefined;
}

function endOfMatch(sticky: RegExp, text: string, at: number): number | undefined {
  sticky.lastIndex = at;
  return sticky.test(text) ? sticky.lastIndex : undefined;
}

function isEncodedWord(word: string): boolean {
  return endOfMatch(ENCODED_WORD, word, 0) === word.length;
}

/** Whether a display name is an address: in any case, and in the apostrophes that some programs put around it. */
function isSame(name: string, path: string): boolean {
  const [one, other] = [name.toLowerCase(), path.toLowerCase()];
  return one === other || one === `'${other}'`;
}
