/** Dot-stuffing by a native search and copied runs; the fastest search differs by runtime. */
const LF = 10;
const DOT = 46;

/** On Deno, `Buffer.indexOf` is slower than that of typed arrays. */
const indexOf = "Deno" in globalThis ? Uint8Array.prototype.indexOf : Buffer.prototype.indexOf;

/** The index of the next line that begins with a dot, from `i` on; -1 if there is none. */
function nextDot(bytes, i) {
  for (let at = indexOf.call(bytes, DOT, i); at >= 0; at = indexOf.call(bytes, DOT, at + 1)) {
    if (at > 0 && bytes[at - 1] === LF) return at;
  }
  return -1;
}

/** A whole message and the commands after it, in one buffer. */
export function stuffed(message, tail) {
  const out = Buffer.allocUnsafe(message.length + (message.length >> 3) + tail.length + 1024);
  let written = 0;
  let from = 0;
  for (let at = message[0] === DOT ? 0 : nextDot(message, 0); at >= 0; at = nextDot(message, at + 1)) {
    out.set(message.subarray(from, at), written);
    written += at - from;
    out[written++] = DOT;
    from = at;
  }
  out.set(from === 0 ? message : message.subarray(from), written);
  written += message.length - from;
  written += out.latin1Write(tail, written);
  return out.subarray(0, written);
}

/** The chunks of a message. */
export class StuffedChunks {
  #last = LF;

  /** Returns the chunk itself if it has nothing to stuff. */
  encode(chunk) {
    let at = chunk[0] === DOT && this.#last === LF ? 0 : nextDot(chunk, 0);
    this.#last = chunk[chunk.length - 1];
    if (at < 0) return chunk;
    const dots = [];
    for (; at >= 0; at = nextDot(chunk, at + 1)) dots.push(at);
    const out = Buffer.allocUnsafeSlow(chunk.length + dots.length);
    let written = 0;
    let from = 0;
    for (const dot of dots) {
      written += chunk.copy(out, written, from, dot);
      out[written++] = DOT;
      from = dot;
    }
    chunk.copy(out, written, from);
    return out;
  }
}

/** A large message in pieces. */
export function* slices(message) {
  for (let at = 0; at < message.length; at += 65_536) yield message.subarray(at, at + 65_536);
}

/** Writes all chunks, with back-pressure. */
export async function writeAll(socket, encoder, chunks) {
  for await (const chunk of chunks) {
    if (!socket.write(encoder.encode(chunk))) await socket.drained();
  }
}
