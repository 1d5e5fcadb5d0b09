/**
 * Finds the mailboxes in address text, of an argument or of a header field (RFC 5322 3.4, 4.4). Ambiguous text is
 * refused, never guessed: text of a display name or a comment must not become a recipient.
 */
import { aLabel, isAscii } from "./a-label.ts";
import type { Mailbox } from "./mailbox.ts";

/** Throws an error with the reason. */
export type Fail = (reason: string) => never;

/** Makes a mailbox from checked parts. */
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
 * All mailboxes of `text`, in order: groups flattened, display names, comments and source routes dropped. "one" refuses
 * lists, groups, and white space inside the address. With "senders", a display name with empty brackets yields no
 * mailbox rather than the null path. One pass, in linear time.
 */
export function scanAddresses(text: string, expected: Expected, fail: Fail): readonly Mailbox[] {
  return new AddressScanner(expected, fail).scan(text);
}

type Expected = "one" | "many" | "senders";
type Place = "name" | "angle" | "after";

/** Reads address text token by token. */
class AddressScanner {
  readonly #expected: Expected;
  readonly #many: boolean;
  readonly #fail: Fail;
  readonly #found: Mailbox[] = [];
  #place: Place = "name";
  /** The words since the entry or its `<`, and their last character; the length of a leading quoted string. */
  #words = "";
  #last = "";
  #quoted = 0;
  /** True if the words can be only a display name; have an unquoted `@`; are followed by white space. */
  #nameOnly = false;
  #hasAt = false;
  #gap = false;
  /** The display name before the `<`; the words with an unquoted `@` in it, or in text that may become one. */
  #name = "";
  #addresses: string[] = [];
  /** True if the last entry was a name without `@`: perhaps half of a display name with an unquoted comma. */
  #bare = false;
  #route = "";
  #inGroup = false;
  #beforeGroup = 0;

  constructor(expected: Expected, fail: Fail) {
    this.#expected = expected;
    this.#many = expected !== "one";
    this.#fail = fail;
  }

  scan(text: string): readonly Mailbox[] {
    for (let at = 0; at < text.length; ) {
      const end = endOfToken(text, at) ?? this.#fail(`a misplaced or open ${text.charAt(at)}`);
      this.#take(text.slice(at, end));
      at = end;
    }
    this.#endEntry();
    if (this.#inGroup && this.#found.length > this.#beforeGroup) this.#fail('a group without ";"');
    return this.#found;
  }

  #take(token: string): void {
    const character = token.charAt(0);
    if (character === " " || character === "\t") this.#gap = true;
    else if (character === "<") this.#openAngle();
    else if (character === ">") this.#closeAngle();
    else if (",:;".includes(character)) this.#separate(character);
    else if (character !== "(") this.#addWord(token);
  }

  #clear(next: Place): void {
    this.#words = this.#last = "";
    this.#quoted = 0;
    this.#nameOnly = this.#hasAt = this.#gap = false;
    this.#place = next;
  }

  #addWord(word: string): void {
    const first = word.charAt(0);
    if (this.#place === "after") this.#fail('text behind the ">"');
    if (this.#words === "") {
      if (first === '"') this.#quoted = word.length;
      if (first === "[") this.#nameOnly = true;
    } else {
      // Only at a dot or an "@" may white space separate the words of an address (RFC 5322 4.4).
      const beside = ".@".includes(this.#last) || ".@".includes(first);
      if (!beside || (this.#gap && !this.#many) || first === '"' || this.#last === "]") this.#nameOnly = true;
      const opensWrongly = this.#quoted === this.#words.length ? first !== "@" : first === "[" && this.#last !== "@";
      if (opensWrongly) this.#nameOnly = true;
    }
    if (first === "[" && !LITERAL.test(word)) this.#nameOnly = true;
    if (first === "=" && isEncodedWord(word)) this.#nameOnly = true;
    else if (first !== '"' && word.includes("@")) {
      this.#hasAt = true;
      if (this.#place === "name") this.#addresses.push(word);
    }
    this.#words += word;
    this.#last = word.charAt(word.length - 1);
    this.#gap = false;
  }

  #addMailbox(): void {
    const at = this.#words.indexOf("@", this.#quoted);
    const localPart = at < 0 ? this.#words : this.#words.slice(0, at);
    const domain = at < 0 ? undefined : this.#words.slice(at + 1);
    const whole =
      domain === undefined ? this.#quoted === 0 : localPart !== "" && domain !== "" && !domain.includes("@");
    const spaced = /\s/.test(this.#words.slice(this.#quoted));
    if (this.#nameOnly || !whole || spaced) this.#fail("text that is not an address");
    if (domain?.includes("=?")) this.#fail("an encoded word where a domain should be");
    this.#found.push(makeMailbox(localPart, domain));
  }

  #endEntry(): void {
    if (this.#place === "angle") this.#fail('a "<" without ">"');
    if (this.#place === "name" && this.#words !== "") {
      this.#addMailbox();
      this.#bare = this.#found.at(-1)?.domain === undefined;
    }
    if (this.#addresses.length > 0) this.#addresses = [];
    this.#clear("name");
  }

  #openAngle(): void {
    if (this.#place !== "name") this.#fail('a second "<"');
    this.#name = this.#words;
    this.#route = "";
    this.#clear("angle");
  }

  #closeAngle(): void {
    if (this.#place !== "angle") this.#fail('a ">" without "<"');
    if (this.#name !== "" && this.#bare) this.#fail("an unquoted comma in a display name");
    if (this.#words !== "") this.#addMailbox();
    else if (this.#route !== "" || (this.#name !== "" && !this.#many)) this.#fail("no address");
    else this.#found.push(makeMailbox(""));
    this.#checkDisplayName(this.#found.at(-1)?.path ?? "");
    if (this.#words === "" && this.#name !== "" && this.#expected === "senders") this.#found.pop();
    this.#bare = false;
    this.#clear("after");
  }

  /** A display name may repeat the address, unquoted, as some programs write it; another address is ambiguous. */
  #checkDisplayName(path: string): void {
    if (isSame(this.#name, path) || this.#addresses.every((one) => isSame(one, path))) return;
    this.#fail('another address before the "<"');
  }

  /** Reads a source route and drops it (RFC 5321 4.1.2, appendix C). */
  #endHop(separator: string): void {
    const isHop = separator !== ";" && this.#route !== ":" && !this.#nameOnly && /^@[^@]+$/.test(this.#words);
    if (!isHop) this.#fail("text that is not an address");
    this.#clear("angle");
    this.#route = separator;
  }

  #separate(separator: string): void {
    if (this.#place === "angle") return this.#endHop(separator);
    if (!this.#many) this.#fail("more than one address");
    if (separator === ":") return this.#openGroup();
    if (separator === ";" && !this.#inGroup) this.#fail('a misplaced ";"');
    this.#endEntry();
    if (separator === ",") return;
    this.#inGroup = this.#bare = false;
    this.#place = "after";
  }

  #openGroup(): void {
    if (this.#inGroup || this.#hasAt || this.#words === "") this.#fail('a misplaced ":"');
    if (this.#bare) this.#fail("an unquoted comma in a display name");
    this.#clear("name");
    this.#inGroup = true;
    this.#beforeGroup = this.#found.length;
  }
}

const TEXT = /[^ \t()<>[\]:;,"\\]+/y;
/** RFC 2047 2. All of its characters are plain, even those that section 5 forbids in a phrase. */
const ENCODED_WORD = /=\?[^?\s]+\?[bq]\?[^?\s]*\?=(?=[\s<(:]|$)/iy;
const CLOSED_BY: { readonly [open: string]: string } = { '"': '"', "(": ")", "[": "]" };
const LITERAL = /^\[[^\s()<>[\],;@"\\]+\]$/;

/** The end of the token at `at`: a run of text, a quoted string, a comment (they nest), or one character. */
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

/** Whether a display name is the address, in any case, or in apostrophes as some programs write it. */
function isSame(name: string, path: string): boolean {
  const [one, other] = [name.toLowerCase(), path.toLowerCase()];
  return one === other || one === `'${other}'`;
}
