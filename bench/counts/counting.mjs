/** What is counted: writes and flights at the byte stream, octets copied by the client, and the heap that it takes. */

/** A transport that counts the client's writes, and its flights: those that answer something that was read. */
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
 * Counts the octets that go through the engine's copying methods while `task` runs, and those that text becomes. Runs of
 * a few octets that are copied one by one are not seen; that they land in new memory shows in the buffers taken.
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

/** How many octets `task` takes of heap, and of buffers. The young generation must be so large that nothing is collected. */
export async function memoryTaken(task) {
  globalThis.gc();
  const before = process.memoryUsage();
  await task();
  const after = process.memoryUsage();
  return { heap: after.heapUsed - before.heapUsed, buffers: after.arrayBuffers - before.arrayBuffers };
}
