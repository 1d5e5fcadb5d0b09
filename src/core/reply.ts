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

/** Takes bytes as they come and gives replies one by one. */
export type ReplyParser = {
  /** Takes bytes. The view is not kept beyond `settle()`. */
  push(chunk: Uint8Array): void;
  /** Copies what is left of the chunk, whose memory the transport may use again. */
  settle(): void;
  /** The next complete reply; undefined if more bytes are needed, or there is a fault. */
  next(limit: ReplyLimit): Reply | undefined;
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
  let chunk: Uint8Array = new Uint8Array(0);
  let at = 0;
  let held: Uint8Array[] = [];
  let heldLength = 0;
  let code = 0;
  let lines: string[] = [];
  let octets = 0;
  let fault: ReplyFault | undefined;

  function fail(kind: ReplyFault["kind"], detail: string): void {
    fault = { kind, detail };
  }

  function waiting(): number {
    return chunk.length - at + heldLength;
  }

  function takeLine(line: Uint8Array, mostOctets: number): void {
    const text = decoder.decode(line);
    if (!START.test(text)) return fail("grammar", `not a reply: ${JSON.stringify(trimmed(text).slice(0, 200))}`);
    const first = code;
    code = Number(text.slice(0, 3));
    if (lines.length > 0 && code !== first) {
      return fail("grammar", `the codes of one reply differ: ${first} and ${code}`);
    }
    octets += line.length;
    const mostLines = Math.ceil(mostOctets / 64);
    if (octets > mostOctets || lines.length >= mostLines) {
      return fail("too-long", `a reply of more than ${mostOctets} octets or ${mostLines} lines`);
    }
    lines.push(trimmed(text.slice(4)));
  }

  /** The next line without its LF; a CR before that is white space at the end. */
  function nextLine(most: number): Uint8Array | undefined {
    const end = chunk.indexOf(LF, at);
    const stop = end < 0 ? chunk.length : end;
    if (heldLength + stop - at > most) {
      fail("too-long", `a line of more than ${most} octets`);
      return undefined;
    }
    const piece = chunk.subarray(at, stop);
    if (end < 0) {
      if (piece.length > 0) held.push(piece.slice());
      heldLength += piece.length;
      at = stop;
      return undefined;
    }
    at = end + 1;
    const line = concat([...held, piece]);
    held = [];
    heldLength = 0;
    return line;
  }

  return {
    push(bytes) {
      chunk = waiting() === heldLength ? bytes : concat([chunk.subarray(at), bytes]);
      at = 0;
    },

    settle() {
      chunk = chunk.slice(at);
      at = 0;
    },

    next(limit) {
      for (;;) {
        const line = nextLine(limit.line);
        if (line !== undefined) takeLine(line, limit.octets);
        if (line === undefined || fault !== undefined) return undefined;
        if (line[3] === HYPHEN) continue;
        const reply = makeReply(code, lines);
        lines = [];
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
      return decoder.decode(concat([...held, chunk.subarray(at)]).subarray(0, 200));
    },
  };
}

/** Three digits, the first from 2 to 5, then the end, a space or a hyphen; anything else is no reply. */
const START = /^[2-5]\d\d(?:[ -]|\r?$)/;

/** The text without the white space around it, as Python gives it. By a loop, since a pattern takes quadratic time. */
function trimmed(text: string): string {
  let start = 0;
  let end = text.length;
  while (start < end && BLANKS.includes(text.charAt(start))) start++;
  while (end > start && BLANKS.includes(text.charAt(end - 1))) end--;
  return text.slice(start, end);
}

const BLANKS = " \t\r";
