/** Sends the replies of a test server, with the requested faults. */

import { utf8 } from "../core/bytes.ts";
import { formatReply, type Reaction } from "./answers.ts";
import type { ServerStream } from "./server-stream.ts";

/** Thrown to end the session: a reaction of the server closed the connection. */
export class SessionOver extends Error {}

/** Writes to one stream. */
export class Outgoing {
  readonly #stream: ServerStream;
  readonly #closed: AbortSignal;

  /** `closed` fires when the server is closed: all waiting ends then. */
  constructor(stream: ServerStream, closed: AbortSignal) {
    this.#stream = stream;
    this.#closed = closed;
  }

  /**
   * Sends the reply with its faults, and returns its code.
   *
   * @throws SessionOver if that ended the session
   */
  async react(reaction: Reaction | undefined, otherwise: string): Promise<number> {
    const { reply, delay, pieces, cut, end } = typeof reaction === "string" ? { reply: reaction } : { ...reaction };
    if (delay !== undefined) await this.#pause(delay);
    const text = reply ?? (end === undefined || cut !== undefined ? otherwise : "");
    if (text !== "") await this.#say(text, pieces, cut);
    if (end !== undefined || cut !== undefined) await this.#end(end ?? "stall");
    if (text.startsWith("421")) await this.#end("close");
    return Number(text.slice(0, 3));
  }

  async #say(reply: string, pieces: number | undefined, cut: number | undefined): Promise<void> {
    const bytes = utf8(formatReply(reply)).subarray(0, cut);
    for (let at = 0; at < bytes.length; at += pieces ?? bytes.length) {
      // The next read notices a client that has disconnected.
      await this.#stream.write(bytes.slice(at, at + (pieces ?? bytes.length)))?.catch(() => {});
      if (pieces !== undefined) await Promise.resolve();
    }
  }

  async #end(how: "close" | "reset" | "stall"): Promise<never> {
    if (how === "stall") await this.#untilClosed();
    if (how === "reset") this.#stream.abort(new Error("reset by the test"));
    else await this.#stream.close();
    throw new SessionOver();
  }

  #pause(seconds: number): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        this.#closed.removeEventListener("abort", done);
        resolve();
      };
      const timer = setTimeout(done, seconds * 1000);
      if (this.#closed.aborted) done();
      else this.#closed.addEventListener("abort", done);
    });
  }

  #untilClosed(): Promise<void> {
    return new Promise((resolve) => {
      if (this.#closed.aborted) resolve();
      else this.#closed.addEventListener("abort", () => resolve(), { once: true });
    });
  }
}
