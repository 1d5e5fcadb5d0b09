/** Parses replies by the grammar of RFC 5321 4.2. It shares no code with the client. */
import { latin1 } from "./transcript.ts";

/** One reply; `broken` is the reason why it is invalid. */
export type JudgedReply = { readonly code: number; readonly lines: readonly string[] };

/** Splits a stream of bytes into replies. */
export class ReplyReader {
  /** The violation of the grammar; nothing is read after it. */
  broken: string | undefined;
  #text = "";
  #lines: string[] = [];
  #code: string | undefined;

  /** True if there are bytes of an incomplete reply. */
  get partial(): boolean {
    return this.#text !== "" || this.#lines.length > 0;
  }

  /** Takes bytes, and returns the replies that they complete. */
  push(bytes: Uint8Array): JudgedReply[] {
    const replies: JudgedReply[] = [];
    this.#text += latin1(bytes);
    for (let end = this.#text.indexOf("\n"); end >= 0 && this.broken === undefined; end = this.#text.indexOf("\n")) {
      const line = this.#text.slice(0, end).replace(/\r$/, "");
      this.#text = this.#text.slice(end + 1);
      const reply = this.#take(line);
      if (reply !== undefined) replies.push(reply);
    }
    return replies;
  }

  /** Discards those bytes: TLS begins. */
  reset(): void {
    this.#text = "";
    this.#lines = [];
    this.#code = undefined;
  }

  #take(line: string): JudgedReply | undefined {
    const [, code, more] = /^([2-5]\d\d)(?:([ -]).*)?$/s.exec(line) ?? [];
    if (code === undefined) {
      this.broken = `no reply: ${JSON.stringify(line.slice(0, 80))}`;
      return undefined;
    }
    // RFC 5321 4.2.1: all lines have one code. postscreen greets by 220- and refuses in the last line.
    const refusedGreeting = this.#code === "220" && more !== "-" && /^[45]/.test(code);
    if (this.#code !== undefined && this.#code !== code && !refusedGreeting) {
      this.broken = `a reply with the codes ${this.#code} and ${code}`;
      return undefined;
    }
    this.#code = code;
    this.#lines.push(line.slice(4));
    if (more === "-") return undefined;
    const reply = { code: Number(code), lines: this.#lines };
    this.#lines = [];
    this.#code = undefined;
    return reply;
  }
}
