/** The common part of the raw engines: a socket, the awaited replies, and a queue of messages. */
import { openSocket } from "./socket.mjs";

const LF = 10;
const HYPHEN = 45;
const TWO = 50;
const THREE = 51;

/** A receiver that ignores the content of a reply. */
export const counted = () => {};

export class RawConnection {
  socket;
  #awaited = [];
  #first = 0;
  #column = 0;
  #digit = 0;
  #separator = 0;
  #waiting = [];
  #taken = 0;
  #quitting = false;

  async connect(target) {
    const greeting = this.#reply();
    this.socket = await openSocket(target, {
      data: (bytes, length) => this.#data(bytes, length),
      closed: (error) => this.#quitting || fail(error ?? new Error("the server closed the connection")),
    });
    await greeting;
    await this.command("EHLO bench.example\r\n");
    if (target.tls === "starttls") {
      this.socket.stopAfterNext?.();
      await this.command("STARTTLS\r\n");
      await this.socket.upgrade();
      await this.command("EHLO bench.example\r\n");
    }
    return this;
  }

  /** Calls `receiver` with the next reply that has no receiver yet. */
  expect(receiver) {
    this.#awaited.push(receiver);
  }

  command(text) {
    const reply = this.#reply();
    this.socket.write(Buffer.from(text, "latin1"));
    return reply;
  }

  /** Queues a message; resolves when the engine has called its `accepted`. */
  send(from, to, message) {
    return new Promise((accepted) => {
      this.#waiting.push({ from, to, message, accepted });
      this.advance();
    });
  }

  /** The next message of the queue. */
  take() {
    const entry = this.#waiting[this.#taken];
    if (entry === undefined) {
      this.#waiting.length = this.#taken = 0;
      return undefined;
    }
    this.#taken++;
    return entry;
  }

  async quit() {
    this.#quitting = true;
    await this.command("QUIT\r\n");
    this.socket.end();
  }

  #reply() {
    return new Promise((resolve) => this.expect(resolve));
  }

  #data(bytes, length) {
    for (let i = 0; i < length; i++) {
      const octet = bytes[i];
      if (octet === LF) {
        this.#column = 0;
        if (this.#separator !== HYPHEN) this.#replied(this.#digit);
        continue;
      }
      if (this.#column === 0) this.#digit = octet;
      else if (this.#column === 3) this.#separator = octet;
      this.#column++;
    }
  }

  #replied(digit) {
    if (digit !== TWO && digit !== THREE) fail(new Error(`refused: ${String.fromCharCode(digit)}yz`));
    const receiver = this.#awaited[this.#first++];
    if (this.#first > 4096 && this.#first * 2 > this.#awaited.length) {
      this.#awaited = this.#awaited.slice(this.#first);
      this.#first = 0;
    }
    receiver();
  }
}

/** MAIL and each RCPT. */
export function envelope({ from, to }) {
  let text = `MAIL FROM:<${from}>\r\n`;
  for (const address of to) text += `RCPT TO:<${address}>\r\n`;
  return text;
}

function fail(error) {
  console.error(error);
  process.exit(1);
}
