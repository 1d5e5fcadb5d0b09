/** Knows which of a client's octets are a message: what follows 354 to DATA, and the chunks of BDAT. */

/** What a part of a client's octets is: a command, content of a message, or the dot that ends it. */
export type PartKind = "command" | "content" | "end";

/** Follows one session; each line, or rest of a chunk, has to be shown to it, in order. */
export class ContentTracker {
  /** How many octets of a chunk of BDAT are still to come. */
  chunk = 0;
  #data: "asked" | "content" | undefined;

  /** Takes a line of the server's: replies to what was pipelined before DATA come first. */
  reply(line: string): void {
    if (this.#data === "asked" && line.startsWith("354")) this.#data = "content";
  }

  /** Takes a line of the client's, or what there is of a chunk; `octets` counts its line end, too. */
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

  /** Octets of the content were left out of what is shown. */
  skip(octets: number): void {
    this.chunk -= Math.min(octets, this.chunk);
  }
}
