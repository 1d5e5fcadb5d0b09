/** Tracks which of a client's bytes are a message: those after 354 to DATA, and the chunks of BDAT. */

/** The kind of a part of a client's bytes: a command, content of a message, or the dot that ends it. */
export type PartKind = "command" | "content" | "end";

/** Follows one session; pass it each line, or rest of a chunk, in order. */
export class ContentTracker {
  /** The bytes of a chunk of BDAT that are still missing. */
  chunk = 0;
  #data: "asked" | "content" | undefined;

  /** Takes a line of the server; replies to commands pipelined before DATA come first. */
  reply(line: string): void {
    if (this.#data === "asked" && line.startsWith("354")) this.#data = "content";
  }

  /** Takes a line of the client, or the available part of a chunk; `octets` includes its line end. */
  take(text: string, octets: number): PartKind {
    if (this.chunk > 0) {
      this.chunk -= Math.min(octets, this.chunk);
      return "content";
    }
    if (this.#data === "content") {
      if (text !== ".") return "content";
      this.#data = undefined;
      return "end";
    }
    this.#data = /^DATA *$/i.test(text) ? "asked" : undefined;
    const [, size = "0"] = /^BDAT (\d{1,15})(?: LAST)?$/i.exec(text) ?? [];
    this.chunk = Number(size);
    return "command";
  }

  /** Bytes of the content were left out of the transcript. */
  skip(octets: number): void {
    this.chunk -= Math.min(octets, this.chunk);
  }
}
