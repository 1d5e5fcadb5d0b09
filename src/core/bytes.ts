/** Bytes on their way out, and the check that keeps control characters out of a command line. */

const encoder = new TextEncoder();

/** Parts of at least this many octets are written as they are; smaller ones are copied together into one write. */
const COALESCE_BELOW = 32_768;

/** The UTF-8 octets of a text. */
export function utf8(text: string): Uint8Array {
  return encoder.encode(text);
}

/** One array with all parts in order. */
export function concat(parts: readonly Uint8Array[]): Uint8Array {
  const [first] = parts;
  if (first !== undefined && parts.length === 1) return first;
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/**
 * Gathers what leaves together: command lines, pieces of a body. What `take()` gave is never touched again,
 * because a transport may still be sending it.
 */
export class Output {
  #text = "";
  #parts: Uint8Array[] = [];
  #length = 0;

  /** Roughly how many octets wait to be taken. */
  get length(): number {
    return this.#length;
  }

  /** Adds a text, to be sent as UTF-8. */
  addText(text: string): void {
    this.#text += text;
    this.#length += text.length;
  }

  /** Adds octets, which must not change from now on. */
  addBytes(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    this.#endText();
    this.#parts.push(bytes);
    this.#length += bytes.length;
  }

  /** Everything gathered so far, small parts joined, in as few pieces as that needs no copy of large ones. */
  take(): readonly Uint8Array[] {
    this.#endText();
    const parts = this.#parts;
    this.#parts = [];
    this.#length = 0;
    return joinSmall(parts);
  }

  #endText(): void {
    if (this.#text === "") return;
    this.#parts.push(utf8(this.#text));
    this.#text = "";
  }
}

function joinSmall(parts: readonly Uint8Array[]): readonly Uint8Array[] {
  const small = (part: Uint8Array | undefined): boolean => part !== undefined && part.length < COALESCE_BELOW;
  const groups: Uint8Array[][] = [];
  for (const part of parts) {
    const group = groups.at(-1);
    if (small(part) && small(group?.[0])) group?.push(part);
    else groups.push([part]);
  }
  return groups.map(concat);
}

const FORBIDDEN = /[\x00-\x1f\x7f]/;
const LONE_SURROGATE = /\p{Surrogate}/u;

/**
 * Gives `text` back if it can stand in a command line.
 * @throws {TypeError} if it is no string primitive or has a lone surrogate, which has no UTF-8 form
 * @throws {RangeError} if it holds CR, LF, NUL or another control character (RFC 5321 4.1.2)
 */
export function checkArgument(text: unknown, argument: string): string {
  if (typeof text !== "string") throw wrongType(argument, "a string", text);
  if (FORBIDDEN.test(text)) {
    throw new RangeError(
      `${argument} must not contain CR, LF, NUL or other control characters: ${JSON.stringify(text)}`,
    );
  }
  if (LONE_SURROGATE.test(text)) throw new TypeError(`${argument} has a lone surrogate, which cannot be encoded`);
  return text;
}

/** The error for an argument of the wrong type. */
export function wrongType(argument: string, wanted: string, value: unknown): TypeError {
  return new TypeError(`${argument} must be ${wanted}, not ${kindOf(value)}`);
}

/** What a value is, for a message about a wrong argument. */
export function kindOf(value: unknown): string {
  if (value === null) return "null";
  if (typeof value !== "object") return typeof value;
  return Object.prototype.toString.call(value).slice(8, -1);
}
