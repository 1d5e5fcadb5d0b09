/** Counts writes and flights at the byte stream, bytes copied by the client, and the heap that it uses. */

/** A transport that counts the client's writes, and its flights: writes after a read. */
export function countingTransport(transport, counts) {
  return async (endpoint, options) => {
    const stream = await transport(endpoint, options);
    let answers = true;
    const { read, write } = stream;
    stream.read = async () => {
      const bytes = await read.call(stream);
      answers = true;
      return bytes;
    };
    stream.write = (bytes) => {
      counts.writes++;
      if (answers) counts.flights++;
      answers = false;
      return write.call(stream, bytes);
    };
    return stream;
  };
}

const TypedArray = Object.getPrototypeOf(Uint8Array.prototype);

/**
 * Counts the bytes that the engine's copying methods copy while `task` runs, and those encoded from text. It does not
 * see bytes that are copied one by one; if they are copied into new memory, the count of buffers shows it.
 */
export async function countCopies(counts, task) {
  const { set, slice, copyWithin } = TypedArray;
  const { encode, encodeInto } = TextEncoder.prototype;
  TypedArray.set = function (source, at) {
    counts.copied += source.length;
    return set.call(this, source, at);
  };
  TypedArray.slice = function (from, to) {
    const copy = slice.call(this, from, to);
    counts.copied += copy.length;
    return copy;
  };
  TypedArray.copyWithin = function (target, from, to = this.length) {
    counts.copied += to - from;
    return copyWithin.call(this, target, from, to);
  };
  TextEncoder.prototype.encode = function (text) {
    const bytes = encode.call(this, text);
    counts.copied += bytes.length;
    return bytes;
  };
  TextEncoder.prototype.encodeInto = function (text, target) {
    const result = encodeInto.call(this, text, target);
    counts.copied += result.written;
    return result;
  };
  try {
    return await task();
  } finally {
    Object.assign(TypedArray, { set, slice, copyWithin });
    Object.assign(TextEncoder.prototype, { encode, encodeInto });
  }
}

/**
 * The bytes that `task` uses of heap and of buffers. The young generation must be large enough to prevent collection.
 */
export async function memoryTaken(task) {
  globalThis.gc();
  const before = process.memoryUsage();
  await task();
  const after = process.memoryUsage();
  return { heap: after.heapUsed - before.heapUsed, buffers: after.arrayBuffers - before.arrayBuffers };
}
