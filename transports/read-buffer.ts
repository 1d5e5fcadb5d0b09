/** The buffer for the option `onread` of Node's sockets, which avoids an event and the socket's own queue. */

/** Bytes of the buffer: replies are short. */
const size = 65_536;

/** The buffer of one socket. Received bytes are passed on in memory of their own. */
export class ReadBuffer {
  #buffer: Uint8Array = new Uint8Array(size);
  /** True if the socket needs the new buffer. */
  #isNew = true;
  #receive: ((chunk: Uint8Array) => void) | undefined;
  /** Bytes that arrived before `receiveBy`. */
  #early: Uint8Array[] = [];

  /** The option `onread` of `net.connect`. */
  readonly onread = {
    buffer: (): Uint8Array | undefined => this.#next(),
    callback: (length: number): boolean => {
      const chunk = this.#take(length);
      if (this.#receive === undefined) this.#early.push(chunk);
      else this.#receive(chunk);
      return true;
    },
  };

  /** Passes received bytes to `receive`, beginning with those that have already arrived. */
  receiveBy(receive: (chunk: Uint8Array) => void): void {
    this.#receive = receive;
    for (const chunk of this.#early) receive(chunk);
    this.#early = [];
  }

  /** The buffer that the socket reads into from now on; `undefined`: the same as before. */
  #next(): Uint8Array | undefined {
    if (!this.#isNew) return undefined;
    this.#isNew = false;
    return this.#buffer;
  }

  /** Copies a small chunk; returns the buffer itself for a large one, and replaces it. */
  #take(length: number): Uint8Array {
    const buffer = this.#buffer;
    if (length < size / 4) return buffer.slice(0, length);
    this.#buffer = new Uint8Array(size);
    this.#isNew = true;
    return buffer.subarray(0, length);
  }
}
