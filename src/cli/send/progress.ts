/** A progress bar for a long body or many messages, on terminals only. */
import type { Output } from "../surroundings.ts";

/** Milliseconds between two updates of the bar. */
const PAUSE = 100;

const WIDTH = 30;

/** A bar on one line, which is drawn again and again. */
export class Progress {
  readonly #output: Output;
  readonly #shown: (done: number) => string;
  readonly #total: number | undefined;
  #last = Number.NEGATIVE_INFINITY;
  #drawn = false;

  /**
   * @param total - the whole amount; undefined if it is not known
   * @param shown - formats an amount: bytes, messages
   */
  constructor(output: Output, total: number | undefined, shown: (amount: number) => string) {
    this.#output = output;
    this.#total = total;
    this.#shown = shown;
  }

  /** Shows how much is done. */
  update(done: number): void {
    if (!this.#output.isTerminal || performance.now() - this.#last < PAUSE) return;
    this.#last = performance.now();
    this.#drawn = true;
    this.#output.write(`\r${this.#line(done)}\x1b[K`);
  }

  /** Removes the bar. */
  finish(): void {
    if (this.#drawn) this.#output.write("\r\x1b[K");
    this.#drawn = false;
  }

  #line(done: number): string {
    if (this.#total === undefined || this.#total === 0) return this.#shown(done);
    const part = Math.min(1, done / this.#total);
    const filled = Math.round(part * WIDTH);
    const bar = `${"#".repeat(filled)}${"-".repeat(WIDTH - filled)}`;
    return `[${bar}] ${String(Math.floor(part * 100)).padStart(3)} %  ${this.#shown(done)} of ${this.#shown(this.#total)}`;
  }
}

/** Counts the bytes that are read of a body. */
export async function* counted(
  body: AsyncIterable<Uint8Array>,
  onOctets: (octets: number) => void,
): AsyncGenerator<Uint8Array> {
  for await (const chunk of body) {
    onOctets(chunk.length);
    yield chunk;
  }
}
