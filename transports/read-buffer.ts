/** What a socket of Node's reads into by its option `onread`, which spares it an event and a turn through its own queue. */

/** Octets of the buffer: replies are short. */
const size = 65_536;

/** The buffer of one socket. What is received is handed on in memory of its own. */
export class ReadBuffer {
  #buffer: Uint8Array = new Uint8Array(size);
  /** True if the socket has to be given another buffer. */
  #isNew = true;
  #receive: ((chunk: Uint8Array) => void) | undefined;
  /** What came before anybody received it. */
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

  /** From now on, what is received goes there, first of all what has come already. */
  receiveBy(receive: (chunk: Uint8Array) => void): void {
    this.#receive = receive;
    for (const chunk of this.#early) receive(chunk);
    this.#early = [];
  }

  /** The buffer that the socket reads into from now on; undefined: the same as before. */
  #next(): Uint8Array | undefined {
    if (!this.#isNew) return undefined;
    this.#isNew = false;
    return this.#buffer;
  }

  /** A copy of a little; of much the buffer itself, in whose place comes another one. */
  #take(length: number): Uint8Array {
    const buffer = this.#buffer;
    if (length < size / 4) return buffer.slice(0, length);
    this.#buffer = new Uint8Array(size);
    this.#isNew = true;
    return buffer.subarray(0, length);
  }
}
