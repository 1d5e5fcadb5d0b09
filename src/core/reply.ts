/** Replies: the value that users see, and the incremental, bounded parser that makes it out of bytes (RFC 5321 4.2). */
import { concat } from "./bytes.ts";

/** A reply of the server: `const [code, message] = await smtp.noop()`. Frozen; the extras are not enumerable. */
export type Reply = readonly [code: number, message: string] & {
  /** The three-digit code. */
  readonly code: number;
  /** The text, lines joined with "\n". */
  readonly message: string;
  /** The text of each line. */
  readonly lines: readonly string[];
  /** The enhanced status code that opens the text (RFC 2034, 3463), as "5.1.1". */
  readonly enhancedCode: string | undefined;
};

/** Refused address -> the reply that refused it. It has no prototype: any address is a safe key. */
export type Refused = Record<string, Reply>;

/** How much the server may say: octets of a line, and of a reply, which may have a line for each 64 of them. */
export type ReplyLimit = { readonly line: number; readonly octets: number };

/** What broke the grammar or a limit; the session cannot go on. */
export type ReplyFault = { readonly kind: "grammar" | "too-long"; readonly detail: string };

/** Makes the value that users see. */
export function makeReply(code: number, lines: readonly string[]): Reply {
  const message = lines.join("\n");
  const pair: [number, string] = [code, message];
  const extras = { code, message, lines: Object.freeze(lines.slice()), enhancedCode: enhancedCodeOf(code, message) };
  for (const [name, value] of Object.entries(extras)) Object.defineProperty(pair, name, { value });
  return Object.freeze(pair) as unknown as Reply;
}

/** A positive completion reply: 2yz. Of a code that nobody knows the first digit decides (RFC 5321 4.2). */
export function isPositive(code: number): boolean {
  return code >= 200 && code < 300;
}

const ENHANCED = /^([245])\.\d{1,3}\.\d{1,3}(?![\d.])/;

function enhancedCodeOf(code: number, message: string): string | undefined {
  const found = ENHANCED.exec(message);
  return found?.[1] === String(Math.floor(code / 100)) ? found[0] : undefined;
}

const TAB = 9;
const LF = 10;
const CR = 13;
const SPACE = 32;
const HYPHEN = 45;
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/**
 * Takes bytes as they come and gives replies one by one. It remembers how far it looked, so that a slow drip
 * stays linear, and holds no more than the limit it is given.
 */
export class ReplyParser {
  #chunk: Uint8Array = new Uint8Array(0);
  #at = 0;
  #held: Uint8Array[] = [];
  #heldLength = 0;
  #code = 0;
  #lines: string[] = [];
  #octets = 0;

  /** Takes bytes; all replies of the chunk before must have been asked for. The view is not kept beyond `settle()`. */
  push(chunk: Uint8Array): void {
    this.#chunk =
      this.empty || this.#at === this.#chunk.length ? chunk : concat([this.#chunk.subarray(this.#at), chunk]);
    this.#at = 0;
  }

  /** Copies what is left of the chunk, whose memory the transport may use again. */
  settle(): void {
    this.#chunk = this.#at < this.#chunk.length ? this.#chunk.slice(this.#at) : new Uint8Array(0);
    this.#at = 0;
  }

  /** How many octets wait. */
  get waiting(): number {
    return this.#chunk.length - this.#at + this.#heldLength;
  }

  /** True if no byte is waiting, not even of a half line. */
  get empty(): boolean {
    return this.#at >= this.#chunk.length && this.#heldLength === 0 && this.#lines.length === 0;
  }

  /** What waits unread, for an error message. */
  get rest(): string {
    return decoder.decode(concat([...this.#held, this.#chunk.subarray(this.#at)]).subarray(0, 200));
  }

  /** The next complete reply, a fault, or undefined if more bytes are needed. */
  next(limit: ReplyLimit): Reply | ReplyFault | undefined {
    for (;;) {
      const line = this.#line(limit);
      if (line === undefined || "kind" in line) return line;
      const fault = this.#take(line, limit);
      if (fault !== undefined) return fault;
      if (line[3] === HYPHEN) continue;
      const reply = makeReply(this.#code, this.#lines);
      this.#lines = [];
      this.#octets = 0;
      return reply;
    }
  }

  #take(line: Uint8Array, limit: ReplyLimit): ReplyFault | undefined {
    const code = codeOf(line);
    if (code === undefined)
      return { kind: "grammar", detail: `not a reply: ${JSON.stringify(textOf(line, 0).slice(0, 200))}` };
    if (this.#lines.length > 0 && code !== this.#code) {
      return { kind: "grammar", detail: `the codes of one reply differ: ${this.#code} and ${code}` };
    }
    this.#code = code;
    this.#octets += line.length;
    const lines = Math.ceil(limit.octets / 64);
    if (this.#octets > limit.octets || this.#lines.length >= lines) {
      return { kind: "too-long", detail: `a reply of more than ${limit.octets} octets or ${lines} lines` };
    }
    this.#lines.push(textOf(line, 4));
    return undefined;
  }

  #line(limit: ReplyLimit): Uint8Array | ReplyFault | undefined {
    const end = this.#chunk.indexOf(LF, this.#at);
    const stop = end < 0 ? this.#chunk.length : end;
    if (this.#heldLength + stop - this.#at > limit.line) {
      return { kind: "too-long", detail: `a line of more than ${limit.line} octets` };
    }
    const piece = this.#chunk.subarray(this.#at, stop);
    if (end < 0) {
      if (piece.length > 0) this.#held.push(piece.slice());
      this.#heldLength += piece.length;
      this.#at = stop;
      return undefined;
    }
    this.#at = end + 1;
    if (this.#heldLength === 0) return withoutCr(piece);
    const line = concat([...this.#held, piece]);
    this.#held = [];
    this.#heldLength = 0;
    return withoutCr(line);
  }
}

function withoutCr(line: Uint8Array): Uint8Array {
  return line[line.length - 1] === CR ? line.subarray(0, -1) : line;
}

/** Three digits, the first from 2 to 5, then the end, a space or a hyphen; anything else is no reply. */
function codeOf(line: Uint8Array): number | undefined {
  const [a = 0, b = 0, c = 0, separator = SPACE] = [line[0], line[1], line[2], line[3]];
  const digits = a >= 50 && a <= 53 && b >= 48 && b <= 57 && c >= 48 && c <= 57;
  if (!digits || (separator !== SPACE && separator !== HYPHEN)) return undefined;
  return (a - 48) * 100 + (b - 48) * 10 + (c - 48);
}

/** The text of a line without the white space around it, as Python gives it; invalid UTF-8 becomes U+FFFD. */
function textOf(line: Uint8Array, from: number): string {
  let start = from;
  let end = line.length;
  while (start < end && isBlank(line[start])) start++;
  while (end > start && isBlank(line[end - 1])) end--;
  return start < end ? decoder.decode(line.subarray(start, end)) : "";
}

function isBlank(octet: number | undefined): boolean {
  return octet === SPACE || octet === TAB || octet === CR;
}
