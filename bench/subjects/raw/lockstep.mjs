/** Command by command: each waits for the last one's reply. */
import { RawConnection } from "./connection.mjs";
import { StuffedChunks, stuffed, writeAll } from "./stuffing.mjs";

export class LockstepConnection extends RawConnection {
  #busy = false;

  async advance() {
    if (this.#busy) return;
    this.#busy = true;
    for (let entry = this.take(); entry !== undefined; entry = this.take()) {
      await this.#deliver(entry);
      entry.accepted();
    }
    this.#busy = false;
  }

  async sendStream(from, to, chunks) {
    await this.#envelope({ from, to });
    await writeAll(this.socket, new StuffedChunks(), chunks);
    await this.command(".\r\n");
  }

  async #deliver(entry) {
    await this.#envelope(entry);
    const end = new Promise((resolve) => this.expect(resolve));
    this.socket.write(stuffed(entry.message, ".\r\n"));
    await end;
  }

  async #envelope({ from, to }) {
    await this.command(`MAIL FROM:<${from}>\r\n`);
    for (const address of to) await this.command(`RCPT TO:<${address}>\r\n`);
    await this.command("DATA\r\n");
  }
}
