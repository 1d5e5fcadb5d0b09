/** Reads a message's content as DATA carries it (RFC 5321 4.5.2), up to the line that ends it. */

/** A broken rule: its name, and what broke it. */
export type Fault = readonly [rule: string, detail: string];

const CR = 13;
const LF = 10;
const DOT = 46;

/** Consumes content byte by byte. */
export class ContentReader {
  readonly #sevenBit: boolean;
  #before = LF;
  #lineLength = 0;
  #dots = 0;
  #eightBit = false;

  constructor(sevenBit: boolean) {
    this.#sevenBit = sevenBit;
  }

  /** True if what has left may be the beginning of the end: a dot alone on its line so far. */
  get nearEnd(): boolean {
    return this.#dots === 1 && this.#lineLength === 1;
  }

  /** Consumes bytes from `at`; `next` is where the content stops, if it ended there. */
  push(bytes: Uint8Array, at: number): { next: number; ended: boolean; faults: Fault[] } {
    const faults: Fault[] = [];
    for (let index = at; index < bytes.length; index++) {
      const byte = bytes[index] ?? 0;
      const ended = this.#take(byte, faults);
      if (ended) return { next: index + 1, ended, faults };
    }
    return { next: bytes.length, ended: false, faults };
  }

  #take(byte: number, faults: Fault[]): boolean {
    if (byte === LF && this.#before !== CR) faults.push(["RFC 5321 2.3.8: no bare LF in content", ""]);
    if (byte !== LF && this.#before === CR) faults.push(["RFC 5321 2.3.8: no bare CR in content", ""]);
    if (byte > 127 && this.#sevenBit && !this.#eightBit) {
      this.#eightBit = true;
      faults.push(["RFC 5321 2.4: 8-bit content needs 8BITMIME", ""]);
    }
    this.#before = byte;
    if (byte === LF) {
      // "." CR LF: the line has a dot and a CR.
      const ends = this.#dots === 1 && this.#lineLength === 2;
      this.#lineLength = 0;
      this.#dots = 0;
      return ends;
    }
    this.#lineLength++;
    if (byte === DOT && this.#dots === this.#lineLength - 1) this.#dots++;
    else if (this.#lineLength === 2 && this.#dots === 1 && byte !== CR) {
      faults.push(["RFC 5321 4.5.2: a dot at the beginning of a line is doubled", ""]);
    }
    return false;
  }
}
