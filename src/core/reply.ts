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
  const reply: [number, string] = [code, message];
  const define = (name: string, value: unknown): unknown => Object.defineProperty(reply, name, { value });
  define("code", code);
  define("message", message);
  define("lines", Object.freeze(lines.slice()));
  define("enhancedCode", enhancedCodeOf(code, message));
  return Object.freeze(reply) as unknown as Reply;
}

/** A positive completion reply: 2yz. Of a code that nobody knows the first digit decides (RFC 5321 4.2). */
export function isPositive(code: number): boolean {
  return code >= 200 && code < 300;
}

const ENHANCED = /^[245]\.\d{1,3}\.\d{1,3}(?![\d.])/;

function enhancedCodeOf(code: number, message: string): string | undefined {
  const found = ENHANCED.exec(message)?.[0];
  return found?.[0] === String(code)[0] ? found : undefined;
}

const LF = 10;
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
  #fault: ReplyFault | undefined;

  /** What broke the grammar or a limit: no reply follows. */
  get fault(): ReplyFault | undefined {
    return this.#fault;
  }

  /** Takes bytes. The view is not kept beyond `settle()`. */
  push(chunk: Uint8Array): void {
    this.#chunk = this.waiting === this.#heldLength ? chunk : concat([this.#chunk.subarray(this.#at), chunk]);
    this.#at = 0;
  }

  /** Copies what is left of the chunk, whose memory the transport may use again. */
  settle(): void {
    this.#chunk = this.#chunk.slice(this.#at);
    this.#at = 0;
  }

  /** How many octets wait. */
  get waiting(): number {
    return this.#chunk.length - this.#at + this.#heldLength;
  }

  /** True if no byte is waiting, not even of a half line. */
  get empty(): boolean {
    return this.waiting === 0 && this.#lines.length === 0;
  }

  /** What waits unread, for an error message. */
  get rest(): string {
    return decoder.decode(concat([...this.#held, this.#chunk.subarray(this.#at)]).subarray(0, 200));
  }

  /** The next complete reply; undefined if more bytes are needed, or there is a fault. */
  next(limit: ReplyLimit): Reply | undefined {
    for (;;) {
      const line = this.#line(limit.line);
      if (line !== undefined) this.#take(line, limit.octets);
      if (line === undefined || this.#fault !== undefined) return undefined;
      if (line[3] === HYPHEN) continue;
      const reply = makeReply(this.#code, this.#lines);
      this.#lines = [];
      this.#octets = 0;
      return reply;
    }
  }

  #take(line: Uint8Array, mostOctets: number): void {
    const text = decoder.decode(line);
    if (!START.test(text)) return this.#fail("grammar", `not a reply: ${JSON.stringify(trimmed(text).slice(0, 200))}`);
    const code = Number(text.slice(0, 3));
    if (this.#lines.length > 0 && code !== this.#code) {
      return this.#fail("grammar", `the codes of one reply differ: ${this.#code} and ${code}`);
    }
    this.#code = code;
    this.#octets += line.length;
    const mostLines = Math.ceil(mostOctets / 64);
    if (this.#octets > mostOctets || this.#lines.length >= mostLines) {
      return this.#fail("too-long", `a reply of more than ${mostOctets} octets or ${mostLines} lines`);
    }
    this.#lines.push(trimmed(text.slice(4)));
  }

  /** The next line without its LF; a CR before that is white space at the end. */
  #line(most: number): Uint8Array | undefined {
    const end = this.#chunk.indexOf(LF, this.#at);
    const stop = end < 0 ? this.#chunk.length : end;
    if (this.#heldLength + stop - this.#at > most) {
      this.#fail("too-long", `a line of more than ${most} octets`);
      return undefined;
    }
    const piece = this.#chunk.subarray(this.#at, stop);
    if (end < 0) {
      if (piece.length > 0) this.#held.push(piece.slice());
      this.#heldLength += piece.length;
      this.#at = stop;
      return undefined;
    }
    this.#at = end + 1;
    const line = concat([...this.#held, piece]);
    this.#held = [];
    this.#heldLength = 0;
    return line;
  }

  #fail(kind: ReplyFault["kind"], detail: string): void {
    this.#fault = { kind, detail };
  }
}

/** Three digits, the first from 2 to 5, then the end, a space or a hyphen; anything else is no reply. */
const START = /^[2-5]\d\d(?:[ -]|\r?$)/;

/** The text without the white space around it, as Python gives it. By a loop, since a pattern takes quadratic time. */
function trimmed(text: string): string {
  let start = 0;
  let end = text.length;
  while (start < end && isBlank(text[start])) start++;
  while (end > start && isBlank(text[end - 1])) end--;
  return text.slice(start, end);
}

function isBlank(character: string | undefined): boolean {
  return character === " " || character === "\t" || character === "\r";
}
