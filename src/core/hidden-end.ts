/**
 * Finds lines that begin with NUL and a dot. No message may contain a NUL (RFC 5322 2.1, RFC 2045 2.7 and 2.8), and a
 * server that drops it reads the dot as the first byte of the line, which may be the end of the message.
 */

/** The error for such a message. */
export class HiddenEndError extends RangeError {
  constructor() {
    super(
      "the message has a line that begins with NUL and a dot, which servers that drop NUL take for its end: encode it as base64 or quoted-printable",
    );
  }
}

/** Searches a message, in chunks cut anywhere, for such a line. Lines end at CR or LF. */
export class HiddenEndSearch {
  /** The state after the last chunk: within a line, at the start of a line, or after NULs at its start. */
  #open: "nothing" | "line" | "nuls" = "line";

  /** Whether this chunk has the dot. */
  found(chunk: Uint8Array): boolean {
    const found = this.#foundIn(chunk);
    this.#open = this.#openAfter(chunk);
    return found;
  }

  #foundIn(chunk: Uint8Array): boolean {
    if (this.#open === "nuls" && chunk[endOfNuls(chunk, 0)] === DOT) return true;
    for (let at = chunk.indexOf(NUL); at >= 0; ) {
      const next = endOfNuls(chunk, at);
      const begins = at === 0 ? this.#open !== "nothing" : isLineEnd(chunk[at - 1]);
      if (begins && chunk[next] === DOT) return true;
      at = chunk.indexOf(NUL, next);
    }
    return false;
  }

  #openAfter(chunk: Uint8Array): "nothing" | "line" | "nuls" {
    let end = chunk.length;
    while (chunk[end - 1] === NUL) end--;
    const before = end === 0 ? this.#open : isLineEnd(chunk[end - 1]) ? "line" : "nothing";
    return before === "line" && end < chunk.length ? "nuls" : before;
  }
}

const NUL = 0;
const LF = 10;
const CR = 13;
const DOT = 46;

/** The index after the NULs at `from`; `from` itself if there are none. */
function endOfNuls(chunk: Uint8Array, from: number): number {
  let at = from;
  while (chunk[at] === NUL) at++;
  return at;
}

function isLineEnd(octet: number | undefined): boolean {
  return octet === LF || octet === CR;
}
