/**
 * The buffers that a Node socket reads into by its option `onread`, which avoids an event and the socket's own queue.
 */

/** Bytes of a buffer: replies are short. */
const size = 16_384;

/** Receives the bytes of one socket. */
export type Receiver = {
  /** Whether a read waits for bytes. */
  isPending(): boolean;
  /** Receives bytes. Those that a read waits for are valid until the next read; others are in memory of their own. */
  receive(chunk: Uint8Array): void;
};

/**
 * The buffers of one socket. A read gets a view of the buffer, and the socket continues with the other one: only the
 * next read shows that the view is no longer in use.
 */
export class ReadBuffer {
  #buffer: Uint8Array = new Uint8Array(size);
  #other: Uint8Array | undefined;
  /** True if the socket needs the new buffer. */
  #isNew = true;
  #receiver: Receiver | undefined;
  /** Bytes that arrived before `receiveBy`. */
  #early: Uint8Array[] = [];

  /** The option `onread` of `net.connect`. */
  readonly onread = {
    buffer: (): Uint8Array | undefined => this.#next(),
    callback: (length: number): boolean => {
      this.#received(length);
      return true;
    },
  };

  /** Passes received bytes to the receiver, beginning with those that have already arrived. */
  receiveBy(receiver: Receiver): void {
    this.#receiver = receiver;
    for (const chunk of this.#early) receiver.receive(chunk);
    this.#early = [];
  }

  /** The buffer that the socket reads into from now on; `undefined`: the same as before. */
  #next(): Uint8Array | undefined {
    if (!this.#isNew) return undefined;
    this.#isNew = false;
    return this.#buffer;
  }

  #received(length: number): void {
    const buffer = this.#buffer;
    const receiver = this.#receiver;
    if (receiver === undefined) this.#early.push(buffer.slice(0, length));
    else if (!receiver.isPending()) receiver.receive(buffer.slice(0, length));
    else {
      // The read before this one is over, and with it the use of the other buffer.
      this.#buffer = this.#other ?? new Uint8Array(size);
      this.#other = buffer;
      this.#isNew = true;
      receiver.receive(buffer.subarray(0, length));
    }
  }
}
