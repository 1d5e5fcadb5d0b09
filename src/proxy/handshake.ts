/**
 * The exchange with a proxy before the tunnel begins: requests, answers of bounded length, and the bytes after them.
 */
import type { ByteStream } from "../byte-stream.ts";
import { concat } from "../core/bytes.ts";
import { ProxyError } from "./proxy-error.ts";

/** The result of a parser: a value and its length in bytes; `undefined` while bytes are missing. */
export type Parsed<T> = { readonly value: T; readonly length: number } | undefined;

/** The exchange with a proxy over a connected stream. */
export class ProxyHandshake {
  /** Bytes after the last answer: the server at the other end of the tunnel sent them. */
  rest: Uint8Array = new Uint8Array(0);
  readonly #stream: ByteStream;

  constructor(stream: ByteStream) {
    this.#stream = stream;
  }

  /** Sends bytes. */
  async send(request: Uint8Array): Promise<void> {
    await this.#stream.write(request);
  }

  /**
   * Returns the next answer once the parser has it; parsers refuse answers that are too long.
   *
   * @throws ProxyError if the proxy ends the connection before it
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
      // The view is only valid until the next read.
      this.rest = concat([this.rest, chunk.slice()]);
    }
  }
}
