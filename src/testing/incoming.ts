/** Reads a client's bytes for the test server: lines, messages up to their dot, and counted bytes. */
import type { ByteStream } from "../byte-stream.ts";

/** Reads one stream; each method returns undefined once the client has disconnected. */
export class Incoming {
  readonly #stream: Pick<ByteStream, "read">;
  /** The unread bytes, from `#start` to `#end`. */
  #buffer: Uint8Array = new Uint8Array(4_096);
  #start = 0;
  #end = 0;

  constructor(stream: Pick<ByteStream, "read">) {
    this.#stream = stream;
  }

  /** The next line as text, without its CRLF. */
  async line(): Promise<string | undefined> {
    const line = await this.rawLine();
    return line === undefined ? undefined : new TextDecoder().decode(line);
  }

  /** The next line, without its CRLF. */
  async rawLine(): Promise<Uint8Array | undefined> {
    const line = await this.#until((whole, from) => after(whole, CRLF, from));
    return line?.subarray(0, -2);
  }

  /** A message up to its last dot, with the doubled dots restored (RFC 5321 4.5.2). */
  async message(): Promise<Uint8Array | undefined> {
    const stuffed = await this.#until((whole, from) => endOfMessage(whole, from));
    return stuffed === undefined ? undefined : unstuffed(stuffed.subarray(0, -3));
  }

  /** The given number of bytes. */
  octets(count: number): Promise<Uint8Array | undefined> {
    return this.#until((whole) => (whole.length < count ? undefined : count));
  }

  /** Discards the unread bytes: those sent before TLS must not be taken for bytes over TLS (RFC 3207 4.2). */
  discard(): void {
    this.#start = this.#end;
  }

  /** Waits for bytes; false at the end of the stream. */
  async any(): Promise<boolean> {
    return this.#end > this.#start || (await this.#more());
  }

  /** Takes the bytes up to the end that `end` finds; its argument is the part that was already searched. */
  async #until(end: (whole: Uint8Array, from: number) => number | undefined): Promise<Uint8Array | undefined> {
    for (let from = 0; ; ) {
      const whole = this.#buffer.subarray(this.#start, this.#end);
      const length = end(whole, from);
      if (length !== undefined) {
        this.#start += length;
        return whole.slice(0, length);
      }
      from = Math.max(0, whole.length - END.length);
      if (!(await this.#more())) return undefined;
    }
  }

  async #more(): Promise<boolean> {
    const chunk = await this.#stream.read().catch(() => null);
    if (chunk === null) return false;
    if (this.#end + chunk.length > this.#buffer.length) this.#makeRoom(chunk.length);
    this.#buffer.set(chunk, this.#end);
    this.#end += chunk.length;
    return true;
  }

  #makeRoom(length: number): void {
    const waiting = this.#buffer.subarray(this.#start, this.#end);
    const larger = new Uint8Array(Math.max(this.#buffer.length, 2 * (waiting.length + length)));
    larger.set(waiting);
    this.#buffer = larger;
    this.#start = 0;
    this.#end = waiting.length;
  }
}

const CRLF: readonly number[] = [13, 10];
const END: readonly number[] = [13, 10, 46, 13, 10];
const DOT = 46;

/** The end of the first sequence that begins at or after `from`. */
function after(bytes: Uint8Array, sequence: readonly number[], from: number): number | undefined {
  const [first = 0] = sequence;
  for (let at = bytes.indexOf(first, from); at >= 0; at = bytes.indexOf(first, at + 1)) {
    if (sequence.every((octet, index) => bytes[at + index] === octet)) return at + sequence.length;
  }
  return undefined;
}

/** An empty message is only its dot. */
function endOfMessage(bytes: Uint8Array, from: number): number | undefined {
  if (bytes[0] === DOT && bytes[1] === 13 && bytes[2] === 10) return 3;
  return after(bytes, END, from);
}

function unstuffed(bytes: Uint8Array): Uint8Array {
  const kept = new Uint8Array(bytes.length);
  let length = 0;
  for (const [at, octet] of bytes.entries()) {
    const atStart = at === 0 || (bytes[at - 1] === 10 && bytes[at - 2] === 13);
    if (!(atStart && octet === DOT)) kept[length++] = octet;
  }
  return kept.slice(0, length);
}
