/** What is said with a proxy before the tunnel begins: a request, an answer of bounded length, and what follows it. */
import type { ByteStream } from "../byte-stream.ts";
import { concat } from "../core/bytes.ts";
import { ProxyError } from "./proxy-error.ts";

/** What a parser made of the first octets: a value and how many octets it took, or undefined while some are missing. */
export type Parsed<T> = { readonly value: T; readonly length: number } | undefined;

/** A conversation with a proxy over a connected stream. */
export class ProxyDialogue {
  /** Octets received behind the last answer: what the server at the other end of the tunnel said. */
  rest: Uint8Array = new Uint8Array(0);
  readonly #stream: ByteStream;

  constructor(stream: ByteStream) {
    this.#stream = stream;
  }

  /** Says something. */
  async send(request: Uint8Array): Promise<void> {
    await this.#stream.write(request);
  }

  /**
   * The next answer, as soon as the parser has it; parsers refuse what goes on for too long.
   *
   * @throws ProxyError if the proxy ends the connection before
   */
  async receive<T>(parse: (bytes: Uint8Array) => Parsed<T>): Promise<T> {
    for (;;) {
      const parsed = parse(this.rest);
      if (parsed !== undefined) {
        this.rest = this.rest.subarray(parsed.length);
        return parsed.value;
      }
      const chunk = await this.#stream.read();
      if (chunk === null) throw new ProxyError("closed the connection before it answered");
      // The view is the stream's again at the next read.
      this.rest = concat([this.rest, chunk.slice()]);
    }
  }
}
