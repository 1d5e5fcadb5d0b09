/** Replies: the value that users see, and the incremental, bounded parser that makes it out of bytes (RFC 5321 4.2). */
import { asUtf8, concat, decodeText, latin1, latin1Octets, quoted } from "./bytes.ts";
import { INSPECT } from "./inspect.ts";

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

/** What broke the grammar or a limit; the session cannot go on. */
export type ReplyFault = { readonly kind: "grammar" | "too-long"; readonly detail: string };

/** Makes the value that users see. */
export function makeReply(code: number, lines: readonly string[]): Reply {
  const message = lines.join("\n");
  const reply: [number, string] = [code, message];
  const define = (name: string | symbol, value: unknown): unknown => Object.defineProperty(reply, name, { value });
  define("code", code);
  define("message", message);
  define("lines", Object.freeze(lines.slice()));
  define("enhancedCode", enhancedCodeOf(code, message));
  // Bun prints properties of arrays that are not enumerable.
  define(INSPECT, shown);
  return Object.freeze(reply) as unknown as Reply;
}

function shown(this: Reply): [code: number, message: string] {
  return [this.code, this.message];
}

/** A positive completion reply: 2yz. Of a code that nobody knows the first digit decides (RFC 5321 4.2). */
export function isPositive(code: number): boolean {
  return code >= 200 && code < 300;
}

/** The text without the white space around it, as Python gives it; in linear time. */
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
 * A reply as it was received. The value that users see costs ten times as much, and most replies are looked at for
 * their code alone: it is made when somebody asks.
 */
export class RawReply {
  /** The three-digit code. */
  readonly code: number;
  readonly #lines: readonly string[];
  #reply: Reply | undefined;

  constructor(code: number, lines: readonly string[]) {
    this.code = code;
    this.#lines = lines;
  }

  /** The text, lines joined with "\n". */
  get message(): string {
    return this.reply.message;
  }

  /** What users see. */
  get reply(): Reply {
    this.#reply ??= makeReply(
      this.code,
      this.#lines.map((line) => TEXT.exec(line)?.[1] ?? ""),
    );
    return this.#reply;
  }
}

/** Takes bytes as they come and gives replies one by one. */
export type ReplyParser = {
  /** Takes bytes. The view is not kept beyond `settle()`. */
  push(chunk: Uint8Array): void;
  /** Copies what is left of the chunk, whose memory the transport may use again. */
  settle(): void;
  /**
   * The next complete reply; undefined if more bytes are needed, or there is a fault. A line may have so many octets, and
   * the reply so many, and a line for each 64 of them.
   */
  next(mostInLine: number, mostOctets: number): RawReply | undefined;
  /** What broke the grammar or a limit: no reply follows. */
  readonly fault: ReplyFault | undefined;
  /** How many octets wait. */
  readonly waiting: number;
  /** True if no byte is waiting, not even of a half line. */
  readonly empty: boolean;
  /** What waits unread, for an error message. */
  readonly rest: string;
};

/** A parser that remembers how far it looked, so that a slow drip stays linear, and holds no more than it is allowed. */
export function makeReplyParser(): ReplyParser {
  let chunk: Uint8Array = NOTHING;
  /** The text of `chunk`, as soon as it is wanted. */
  let chunkText: string | undefined;
  let at = 0;
  let held: Uint8Array[] = [];
  let heldLength = 0;
  let code = 0;
  let lines: string[] = [];
  /** True if a line has an octet over 127: the lines are Latin-1 until the reply is complete, and its charset known. */
  let eightBit = false;
  let octets = 0;
  let fault: ReplyFault | undefined;

  function fail(kind: ReplyFault["kind"], detail: string): void {
    fault ??= { kind, detail };
  }

  function waiting(): number {
    return chunk.length - at + heldLength;
  }

  function view(bytes: Uint8Array): void {
    chunk = bytes;
    chunkText = undefined;
    at = 0;
  }

  /** All replies of an ASCII chunk are cut from one text. Each octet of the others is a character (Latin-1). */
  function textOf(bytes: Uint8Array, start: number, end: number): string {
    if (bytes !== chunk) return latin1Of(bytes);
    chunkText ??= asciiOf(chunk);
    return chunkText === "" ? latin1Of(chunk.subarray(start, end)) : chunkText.slice(start, end);
  }

  function latin1Of(line: Uint8Array): string {
    const text = latin1(line);
    eightBit ||= BEYOND_ASCII.test(text);
    return text;
  }

  /** Takes the line of `bytes` from `start` to its LF; a CR before that is white space at the end. */
  function takeLine(bytes: Uint8Array, start: number, end: number, mostOctets: number): void {
    const text = textOf(bytes, start, end);
    const first = code;
    code = codeAt(bytes, start, end);
    if (code < 0) {
      const shown = decodeText(bytes.subarray(start, end)).trim().slice(0, 200);
      return fail("grammar", `not a reply: ${quoted(shown)}`);
    }
    if (lines.length > 0 && code !== first && !isRefusalBehindGreeting(first, code)) {
      return fail("grammar", `the codes of one reply differ: ${first} and ${code}`);
    }
    octets += end - start;
    const mostLines = Math.ceil(mostOctets / 64);
    if (octets > mostOctets || lines.length >= mostLines) {
      return fail("too-long", `a reply of more than ${mostOctets} octets or ${mostLines} lines`);
    }
    lines.push(text.slice(4));
  }

  /** Takes the next line, and gives the octet that tells whether the reply goes on; undefined if there is no line. */
  function nextLine(mostInLine: number, mostOctets: number): number | undefined {
    const start = at;
    const end = chunk.indexOf(LF, start);
    const stop = end < 0 ? chunk.length : end;
    if (heldLength + stop - start > mostInLine) {
      fail("too-long", `a line of more than ${mostInLine} octets`);
      return undefined;
    }
    if (end < 0) {
      if (stop > start) held.push(chunk.slice(start));
      heldLength += stop - start;
      at = stop;
      return undefined;
    }
    at = end + 1;
    if (heldLength === 0) {
      takeLine(chunk, start, end, mostOctets);
      return chunk[start + 3];
    }
    const line = concat([...held, chunk.subarray(start, end)]);
    held = [];
    heldLength = 0;
    takeLine(line, 0, line.length, mostOctets);
    return line[3] ?? LF;
  }

  return {
    push(bytes) {
      view(at === chunk.length ? bytes : concat([chunk.subarray(at), bytes]));
    },

    settle() {
      view(at === chunk.length ? NOTHING : chunk.slice(at));
    },

    next(mostInLine, mostOctets) {
      for (;;) {
        const sign = nextLine(mostInLine, mostOctets);
        if (sign === undefined || fault !== undefined) return undefined;
        if (sign === HYPHEN) continue;
        const reply = new RawReply(code, eightBit ? decoded(lines) : lines);
        lines = [];
        eightBit = false;
        octets = 0;
        return reply;
      }
    },

    get fault() {
      return fault;
    },

    get waiting() {
      return waiting();
    },

    get empty() {
      return waiting() === 0 && lines.length === 0;
    },

    get rest() {
      return decodeText(concat([...held, chunk.subarray(at)]).subarray(0, 200));
    },
  };
}

/** The text of a chunk whose octets are all ASCII; "" for any other. */
function asciiOf(chunk: Uint8Array): string {
  const text = decoder.decode(chunk);
  // As many characters as octets: each octet is ASCII, or a fault that U+FFFD stands for.
  return text.length === chunk.length && !text.includes("\ufffd") ? text : "";
}

/** The lines of a reply in its charset: UTF-8 if all of them are, or else Latin-1, which keeps the octets. */
function decoded(lines: readonly string[]): readonly string[] {
  const texts: string[] = [];
  for (const line of lines) {
    const text = asUtf8(latin1Octets(line));
    if (text === undefined) return lines;
    texts.push(text);
  }
  return texts;
}

/**
 * True if a reply that began with 220 goes on as a refusal: Postfix's postscreen greets with `220-` before it knows whom
 * it greets, and ends with `521`. The code of the last line is the reply's.
 */
function isRefusalBehindGreeting(before: number, code: number): boolean {
  return before === 220 && code >= 400;
}

/** The code of a line: three digits, the first from 2 to 5, then the end, a space or a hyphen; -1 if it is no reply. */
function codeAt(bytes: Uint8Array, start: number, end: number): number {
  const a = (bytes[start] ?? 0) - ZERO;
  const b = (bytes[start + 1] ?? 0) - ZERO;
  const c = (bytes[start + 2] ?? 0) - ZERO;
  if (a < 2 || a > 5 || b < 0 || b > 9 || c < 0 || c > 9 || end < start + 3) return -1;
  const next = bytes[start + 3];
  const bare = end === start + 3 || (next === CR && end === start + 4);
  return bare || next === SPACE || next === HYPHEN ? a * 100 + b * 10 + c : -1;
}
