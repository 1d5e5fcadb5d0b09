/** Replies: the public value, and the incremental, bounded parser that creates it from bytes (RFC 5321 4.2). */
import { asUtf8, concat, decodeText, latin1, latin1Octets, quoted } from "./bytes.ts";
import { INSPECT } from "./inspect.ts";

/** A reply of the server: `const [code, message] = await smtp.noop()`. Frozen; its properties are not enumerable. */
export type Reply = readonly [code: number, message: string] & {
  /** The three-digit code. */
  readonly code: number;
  /** The text, lines joined with "\n". */
  readonly message: string;
  /** The text of each line. */
  readonly lines: readonly string[];
  /** The enhanced status code at the start of the text (RFC 2034, 3463), such as "5.1.1". */
  readonly enhancedCode: string | undefined;
};

/** Refused address -> its reply. Has no prototype: any address is a safe key. */
export type Refused = Record<string, Reply>;

/** A violation of the grammar or a limit; the session cannot continue. */
export type ReplyFault = { readonly kind: "grammar" | "too-long"; readonly detail: string };

/** Creates the public value. */
export function makeReply(code: number, lines: readonly string[]): Reply {
  const message = lines.join("\n");
  const reply: [number, string] = [code, message];
  const define = (name: string | symbol, value: unknown): unknown => Object.defineProperty(reply, name, { value });
  define("code", code);
  define("message", message);
  define("lines", Object.freeze(lines.slice()));
  define("enhancedCode", enhancedCodeOf(code, message));
  // Bun prints non-enumerable properties of arrays.
  define(INSPECT, shown);
  return Object.freeze(reply) as unknown as Reply;
}

function shown(this: Reply): [code: number, message: string] {
  return [this.code, this.message];
}

/** A positive completion reply: 2yz. The first digit decides for unknown codes (RFC 5321 4.2). */
export function isPositive(code: number): boolean {
  return code >= 200 && code < 300;
}

/** The text without surrounding white space, as in Python; in linear time. */
const TEXT = /^[ \t\r]*(.*[^ \t\r])?/s;

const ENHANCED = /^[245]\.\d{1,3}\.\d{1,3}(?![\d.])/;

function enhancedCodeOf(code: number, message: string): string | undefined {
  const found = ENHANCED.exec(message)?.[0];
  return found?.[0] === String(code)[0] ? found : undefined;
}

const LF = 10;
const CR = 13;
const SPACE = 32;
const HYPHEN = 45;
const ZERO = 48;
const NOTHING = new Uint8Array(0);
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
const BEYOND_ASCII = /[^\x00-\x7f]/;

/**
 * A received reply. Most replies are used only for their code: the public value costs ten times as much, so it is
 * created on demand.
 */
export class RawReply {
  /** The three-digit code. */
  readonly code: number;
  /** The text of a one-line reply, or the texts of its lines, with surrounding white space. */
  readonly #text: string | readonly string[];
  #reply: Reply | undefined;

  constructor(code: number, text: string | readonly string[]) {
    this.code = code;
    this.#text = text;
  }

  /** The text, lines joined with "\n". */
  get message(): string {
    return this.reply.message;
  }

  /** The public value. */
  get reply(): Reply {
    this.#reply ??= makeReply(this.code, (typeof this.#text === "string" ? [this.#text] : this.#text).map(trimmed));
    return this.#reply;
  }
}

function trimmed(line: string): string {
  return TEXT.exec(line)?.[1] ?? "";
}

/**
 * Accepts bytes and returns replies one by one. It stores its position, so that single bytes take linear time, and
 * holds no more than its limits permit.
 */
export class ReplyParser {
  #chunk: Uint8Array = NOTHING;
  /** The text of the chunk, decoded on demand; "" if the chunk is not ASCII. */
  #chunkText: string | undefined;
  #at = 0;
  /** The beginning of a line that earlier chunks ended with. */
  #held: Uint8Array[] = [];
  #heldLength = 0;
  /** The parts of an incomplete reply: its code, the texts of its lines, and their length. */
  #code = 0;
  #firstLine: string | undefined;
  #laterLines: string[] | undefined;
  #octets = 0;
  /** True if a line has a byte over 127: lines are Latin-1 until the reply is complete and its charset known. */
  #eightBit = false;
  #fault: ReplyFault | undefined;

  /** Adds bytes. The array is not used after `settle()`. */
  push(chunk: Uint8Array): void {
    this.#view(this.#at === this.#chunk.length ? chunk : concat([this.#chunk.subarray(this.#at), chunk]));
  }

  /** Copies the rest of the chunk, because the transport may reuse its memory. */
  settle(): void {
    if (this.#at === this.#chunk.length) this.#view(NOTHING);
    else this.#view(this.#chunk.slice(this.#at));
  }

  /**
   * The next complete reply; undefined if more bytes are needed, or after a fault. A line may have `mostInLine` bytes,
   * and the reply `mostOctets`, and a line for each 64 of them.
   */
  next(mostInLine: number, mostOctets: number): RawReply | undefined {
    return this.#nextInChunk(Math.min(mostInLine, mostOctets)) ?? this.#nextInPieces(mostInLine, mostOctets);
  }

  /** The next reply if it is of the common form: one line of ASCII, all of it in the chunk. */
  #nextInChunk(mostInLine: number): RawReply | undefined {
    const chunk = this.#chunk;
    const start = this.#at;
    if (start === chunk.length || this.#heldLength > 0 || this.#firstLine !== undefined) return undefined;
    if (this.#fault !== undefined) return undefined;
    const end = chunk.indexOf(LF, start);
    if (chunk[start + 3] !== SPACE || end < 0 || end - start > mostInLine) return undefined;
    const code = codeAt(chunk, start, end);
    this.#chunkText ??= asciiOf(chunk);
    if (code < 0 || this.#chunkText === "") return undefined;
    this.#at = end + 1;
    return new RawReply(code, this.#chunkText.slice(start + 4, end));
  }

  #nextInPieces(mostInLine: number, mostOctets: number): RawReply | undefined {
    for (;;) {
      const sign = this.#nextLine(mostInLine, mostOctets);
      if (sign === undefined || this.#fault !== undefined) return undefined;
      if (sign !== HYPHEN) return this.#complete();
    }
  }

  /** The violation of the grammar or a limit; final. */
  get fault(): ReplyFault | undefined {
    return this.#fault;
  }

  /** The number of unread bytes. */
  get waiting(): number {
    return this.#chunk.length - this.#at + this.#heldLength;
  }

  /** True if no byte is unread, not even of a half line. */
  get empty(): boolean {
    return this.#at === this.#chunk.length && this.#heldLength === 0 && this.#firstLine === undefined;
  }

  /** The unread text, for an error message. */
  get rest(): string {
    return decodeText(concat([...this.#held, this.#chunk.subarray(this.#at)]).subarray(0, 200));
  }

  get #lineCount(): number {
    return this.#firstLine === undefined ? 0 : 1 + (this.#laterLines?.length ?? 0);
  }

  #view(bytes: Uint8Array): void {
    this.#chunk = bytes;
    this.#chunkText = undefined;
    this.#at = 0;
  }

  #fail(kind: ReplyFault["kind"], detail: string): void {
    this.#fault ??= { kind, detail };
  }

  #complete(): RawReply {
    const first = this.#firstLine ?? "";
    const lines = this.#laterLines === undefined ? first : [first, ...this.#laterLines];
    const reply = new RawReply(this.#code, this.#eightBit ? decoded(lines) : lines);
    this.#firstLine = undefined;
    this.#laterLines = undefined;
    this.#eightBit = false;
    this.#octets = 0;
    return reply;
  }

  /**
   * Reads a line, and returns the byte after its code: a hyphen if more lines follow; undefined if there is no line.
   */
  #nextLine(mostInLine: number, mostOctets: number): number | undefined {
    const start = this.#at;
    const chunk = this.#chunk;
    const end = chunk.indexOf(LF, start);
    const stop = end < 0 ? chunk.length : end;
    if (this.#heldLength + stop - start > mostInLine) {
      this.#fail("too-long", `a line of more than ${mostInLine} octets`);
      return undefined;
    }
    if (end < 0) {
      if (stop > start) this.#held.push(chunk.slice(start));
      this.#heldLength += stop - start;
      this.#at = stop;
      return undefined;
    }
    this.#at = end + 1;
    if (this.#heldLength === 0) {
      this.#takeLine(chunk, start, end, mostOctets);
      return chunk[start + 3];
    }
    const line = concat([...this.#held, chunk.subarray(start, end)]);
    this.#held = [];
    this.#heldLength = 0;
    this.#takeLine(line, 0, line.length, mostOctets);
    return line[3] ?? LF;
  }

  /** Reads the line of `bytes` from `start` to its LF; a CR before that is trailing white space. */
  #takeLine(bytes: Uint8Array, start: number, end: number, mostOctets: number): void {
    const text = this.#textOf(bytes, start, end);
    const first = this.#code;
    const code = codeAt(bytes, start, end);
    if (code < 0) {
      const shown = decodeText(bytes.subarray(start, end)).trim().slice(0, 200);
      return this.#fail("grammar", `not a reply: ${quoted(shown)}`);
    }
    if (this.#firstLine !== undefined && code !== first && !isRefusalBehindGreeting(first, code)) {
      return this.#fail("grammar", `the codes of one reply differ: ${first} and ${code}`);
    }
    this.#code = code;
    this.#octets += end - start;
    if (this.#octets > mostOctets || this.#lineCount >= mostOctets / 64) {
      const mostLines = Math.ceil(mostOctets / 64);
      return this.#fail("too-long", `a reply of more than ${mostOctets} octets or ${mostLines} lines`);
    }
    if (this.#firstLine === undefined) this.#firstLine = text;
    else if (this.#laterLines === undefined) this.#laterLines = [text];
    else this.#laterLines.push(text);
  }

  /** The text of a line after its code. Lines of an ASCII chunk share one decoded text; otherwise decodes Latin-1. */
  #textOf(bytes: Uint8Array, start: number, end: number): string {
    if (bytes === this.#chunk) {
      this.#chunkText ??= asciiOf(bytes);
      if (this.#chunkText !== "") return this.#chunkText.slice(start + 4, end);
    }
    const text = latin1(bytes.subarray(start, end));
    this.#eightBit ||= BEYOND_ASCII.test(text);
    return text.slice(4);
  }
}

/** The text of a chunk that is all ASCII; "" for any other. */
function asciiOf(chunk: Uint8Array): string {
  const text = decoder.decode(chunk);
  // With as many characters as bytes, each byte is ASCII, or invalid and decoded as U+FFFD.
  return text.length === chunk.length && !text.includes("\ufffd") ? text : "";
}

/** The text of a reply in its charset: UTF-8 if all lines are, otherwise Latin-1, which preserves the bytes. */
function decoded(text: string | readonly string[]): string | readonly string[] {
  const lines = typeof text === "string" ? [text] : text;
  const texts: string[] = [];
  for (const line of lines) {
    const decodedLine = asUtf8(latin1Octets(line));
    if (decodedLine === undefined) return text;
    texts.push(decodedLine);
  }
  return texts;
}

/**
 * True if a reply that begins with 220 continues as a refusal: Postfix's postscreen sends `220-` before it has tested
 * the client, and ends with `521`. The code of the last line is the reply's.
 */
function isRefusalBehindGreeting(before: number, code: number): boolean {
  return before === 220 && code >= 400;
}

/** The code of a line: three digits, the first from 2 to 5, then the end, a space or a hyphen; -1 if there is none. */
function codeAt(bytes: Uint8Array, start: number, end: number): number {
  const a = (bytes[start] ?? 0) - ZERO;
  const b = (bytes[start + 1] ?? 0) - ZERO;
  const c = (bytes[start + 2] ?? 0) - ZERO;
  if (a < 2 || a > 5 || b < 0 || b > 9 || c < 0 || c > 9 || end < start + 3) return -1;
  const next = bytes[start + 3];
  const bare = end === start + 3 || (next === CR && end === start + 4);
  return bare || next === SPACE || next === HYPHEN ? a * 100 + b * 10 + c : -1;
}
