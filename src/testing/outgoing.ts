/** Sends the replies of a test server, with the requested faults. */

import { utf8 } from "../core/bytes.ts";
import { formatReply, type Reaction } from "./answers.ts";
import type { Pauses } from "./pauses.ts";
import type { ServerStream } from "./server-stream.ts";

/** Thrown to end the session: a reaction of the server closed the connection. */
export class SessionOver extends Error {}

/** Writes to one stream. */
export class Outgoing {
  readonly #stream: ServerStream;
  readonly #pauses: Pauses;

  constructor(stream: ServerStream, pauses: Pauses) {
    this.#stream = stream;
    this.#pauses = pauses;
  }

  /**
   * Sends the reply with its faults, and returns its code.
   *
   * @throws SessionOver if that ended the session
   */
  async react(reaction: Reaction | undefined, otherwise: string): Promise<number> {
    const { reply, delay, pieces, cut, end } = typeof reaction === "string" ? { reply: reaction } : { ...reaction };
    if (delay !== undefined) await this.#pauses.pause(delay);
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
    if (how === "stall") await this.#pauses.pause();
    if (how === "reset") this.#stream.abort(new Error("reset by the test"));
    else await this.#stream.close();
    throw new SessionOver();
  }
}
