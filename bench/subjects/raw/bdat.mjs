/** BDAT: whole transactions in one write, up to 256 KiB of them in flight. */
import { counted, envelope, RawConnection } from "./connection.mjs";

const WINDOW = 262_144;
const MOST_A_WRITE = 131_072;
/** Larger messages are not copied behind their envelope. */
const COPIED = 65_536;

export class BdatConnection extends RawConnection {
  #scheduled = false;
  #inFlight = 0;
  #unanswered = [];
  #answered = 0;
  #done = () => this.#accepted();

  /** Messages that are queued in the same turn of the event loop are sent together. */
  advance() {
    if (this.#scheduled || this.#inFlight >= MOST_A_WRITE) return;
    this.#scheduled = true;
    queueMicrotask(() => {
      this.#scheduled = false;
      this.#flush();
    });
  }

  async sendStream(from, to, chunks) {
    await this.command(`MAIL FROM:<${from}>\r\n`);
    for (const address of to) await this.command(`RCPT TO:<${address}>\r\n`);
    for await (const chunk of chunks) {
      this.expect(counted);
      if (!this.socket.writeBoth(Buffer.from(`BDAT ${chunk.length}\r\n`), chunk)) await this.socket.drained();
    }
    await this.command("BDAT 0 LAST\r\n");
  }

  #flush() {
    const parts = [];
    let total = 0;
    while (this.#inFlight < WINDOW && total < MOST_A_WRITE) {
      const entry = this.take();
      if (entry === undefined) break;
      const head = `${envelope(entry)}BDAT ${entry.message.length} LAST\r\n`;
      for (let i = 0; i <= entry.to.length; i++) this.expect(counted);
      this.expect(this.#done);
      entry.size = head.length + entry.message.length;
      this.#unanswered.push(entry);
      this.#inFlight += entry.size;
      total += entry.size;
      parts.push(head, entry.message);
    }
    if (total > 0) this.#write(parts, total);
  }

  #write(parts, total) {
    if (parts.length === 2 && total > COPIED) {
      this.socket.writeBoth(Buffer.from(parts[0], "latin1"), parts[1]);
      return;
    }
    const whole = Buffer.allocUnsafe(total);
    let at = 0;
    for (let i = 0; i < parts.length; i += 2) {
      at += whole.latin1Write(parts[i], at);
      whole.set(parts[i + 1], at);
      at += parts[i + 1].length;
    }
    this.socket.write(whole);
  }

  #accepted() {
    const entry = this.#unanswered[this.#answered++];
    if (this.#answered === this.#unanswered.length) this.#unanswered.length = this.#answered = 0;
    this.#inFlight -= entry.size;
    entry.accepted();
    this.advance();
  }
}
