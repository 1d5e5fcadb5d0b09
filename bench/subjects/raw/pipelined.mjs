/** DATA with the envelope in one write, and the next message's envelope behind the body. */
import { counted, envelope, RawConnection } from "./connection.mjs";
import { StuffedChunks, slices, stuffed, writeAll } from "./stuffing.mjs";

/** Larger bodies go in pieces, with back-pressure. */
const WHOLE = 262_144;

export class PipelinedConnection extends RawConnection {
  #current;
  #next;
  /** True while the current body is being sent and no envelope follows it. */
  #open = false;
  #go = () => this.#sendBody();
  #done = () => this.#accepted();

  advance() {
    if (this.#current === undefined) {
      this.#current = this.take();
      if (this.#current !== undefined) this.#sendEnvelope(this.#current);
    } else if (this.#open) {
      this.#next = this.take();
      if (this.#next !== undefined) this.#sendEnvelope(this.#next);
    }
  }

  async sendStream(from, to, chunks) {
    await new Promise((resolve) => {
      this.#expectEnvelope({ to }, resolve);
      this.socket.write(Buffer.from(`${envelope({ from, to })}DATA\r\n`, "latin1"));
    });
    await writeAll(this.socket, new StuffedChunks(), chunks);
    await this.command(".\r\n");
  }

  #sendEnvelope(entry) {
    this.#open = false;
    this.#expectEnvelope(entry, this.#go);
    this.socket.write(Buffer.from(`${envelope(entry)}DATA\r\n`, "latin1"));
  }

  #expectEnvelope({ to }, go) {
    for (let i = 0; i <= to.length; i++) this.expect(counted);
    this.expect(go);
  }

  #sendBody() {
    const { message } = this.#current;
    this.expect(this.#done);
    this.#next = this.take();
    this.#open = this.#next === undefined;
    let tail = ".\r\n";
    if (this.#next !== undefined) {
      tail += `${envelope(this.#next)}DATA\r\n`;
      this.#expectEnvelope(this.#next, this.#go);
    }
    if (message.length <= WHOLE) this.socket.write(stuffed(message, tail));
    else this.#sendPieces(message, tail);
  }

  async #sendPieces(message, tail) {
    await writeAll(this.socket, new StuffedChunks(), slices(message));
    this.socket.write(Buffer.from(tail, "latin1"));
  }

  #accepted() {
    const { accepted } = this.#current;
    this.#current = this.#next;
    this.#next = undefined;
    accepted();
    if (this.#current === undefined) this.advance();
  }
}
