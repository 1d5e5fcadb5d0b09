/** The other end of a memory transport: answers each command at once, with arrays that exist already. */
const encoder = new TextEncoder();
const decoder = new TextDecoder();

const GREETING = encoder.encode("220 counts.example ESMTP\r\n");
const OK = encoder.encode("250 2.0.0 Ok\r\n");
const GO = encoder.encode("354 go\r\n");
const BYE = encoder.encode("221 2.0.0 Bye\r\n");
const LF = 10;
const END = "\r\n.\r\n";

/** Serves one connection; `messages` counts what arrived. */
export class Peer {
  messages = 0;
  #stream;
  #ehlo;
  #inData = false;
  /** The last bytes of a body, which may be the beginning of its end. */
  #tail = "";
  #chunkLeft = 0;
  #lastChunk = false;

  constructor(stream, keywords) {
    const lines = ["counts.example", ...keywords].map((line, i) => `250${i < keywords.length ? "-" : " "}${line}\r\n`);
    this.#stream = stream;
    this.#ehlo = encoder.encode(lines.join(""));
  }

  async serve() {
    this.#stream.write(GREETING);
    for (let bytes = await this.#stream.read(); bytes !== null; bytes = await this.#stream.read()) this.#take(bytes);
    await this.#stream.close();
  }

  #take(bytes) {
    for (let at = 0; at < bytes.length; ) {
      const rest = bytes.subarray(at);
      if (this.#chunkLeft > 0) at += this.#chunk(rest);
      else if (this.#inData) at += this.#data(rest);
      else at += this.#command(rest);
    }
  }

  #command(bytes) {
    const length = bytes.indexOf(LF) + 1;
    if (length === 0) throw new Error("a command came in parts");
    const line = decoder.decode(bytes.subarray(0, length)).trim();
    const [verb, size, last] = line.split(" ");
    if (verb === "EHLO") this.#stream.write(this.#ehlo);
    else if (verb === "QUIT") this.#stream.write(BYE);
    else if (verb === "DATA") this.#beginData();
    else if (verb === "BDAT") this.#beginChunk(Number(size), last === "LAST");
    else this.#stream.write(OK);
    return length;
  }

  #beginData() {
    this.#inData = true;
    this.#tail = "\r\n";
    this.#stream.write(GO);
  }

  #beginChunk(size, last) {
    this.#chunkLeft = size;
    this.#lastChunk = last;
    if (size === 0) this.#endChunk();
  }

  #data(bytes) {
    const length = this.#lengthToEnd(bytes);
    if (length === undefined) {
      this.#tail = (this.#tail + decoder.decode(bytes.subarray(-END.length))).slice(-END.length);
      return bytes.length;
    }
    this.#inData = false;
    this.messages++;
    this.#stream.write(OK);
    return length;
  }

  /** The length up to and including the end, which may have begun in the bytes before; undefined if it is missing. */
  #lengthToEnd(bytes) {
    const border = this.#tail + decoder.decode(bytes.subarray(0, END.length));
    const early = border.indexOf(END);
    if (early >= 0) return early + END.length - this.#tail.length;
    const at = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).indexOf(END);
    return at < 0 ? undefined : at + END.length;
  }

  #chunk(bytes) {
    const length = Math.min(this.#chunkLeft, bytes.length);
    this.#chunkLeft -= length;
    if (this.#chunkLeft === 0) this.#endChunk();
    return length;
  }

  #endChunk() {
    if (this.#lastChunk) this.messages++;
    this.#stream.write(OK);
  }
}
