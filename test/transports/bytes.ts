/** Reading, writing and comparing bytes in the transport tests. */
import { onTestFinished } from "vitest";
import type { ByteStream, ConnectOptions, Endpoint, Transport } from "../../src/byte-stream.ts";

/** A MiB in bytes. */
export const MiB: number = 1024 * 1024;

/**
 * The most that kernels and queues hold between two ends while nobody reads: a receive buffer may grow to 32 MiB, and
 * through a proxy there are two of them.
 */
export const HELD: number = 56 * MiB;

/** More than that. */
export const MORE_THAN_HELD: number = 64 * MiB;

/** Connects; the stream is dropped at the end of the test, whatever its outcome. */
export async function open(transport: Transport, to: Endpoint, options: ConnectOptions = {}): Promise<ByteStream> {
  const stream = await transport(to, options);
  onTestFinished(() => stream.abort());
  return stream;
}

/** The bytes of a text. */
export function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

/** Reads until `length` bytes have arrived or the peer has ended; returns them as text. */
export async function readText(stream: ByteStream, length: number): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  while (text.length < length) {
    const chunk = await stream.read();
    if (chunk === null) break;
    text += decoder.decode(chunk, { stream: true });
  }
  return text;
}

/** Reads to the end; returns the text. */
export function readToEnd(stream: ByteStream): Promise<string> {
  return readText(stream, Number.POSITIVE_INFINITY);
}

/** The reason of a promise's rejection; fails if it resolves. */
export async function reasonOf(promise: Promise<unknown>): Promise<unknown> {
  try {
    await promise;
  } catch (reason) {
    return reason;
  }
  throw new Error("expected a rejection");
}

/** Writes the pattern, at most `limit` bytes, until a promise stays pending because the peer reads no more. */
export async function fillUntilStuck(
  stream: Pick<ByteStream, "write">,
  limit: number,
): Promise<{ taken: number; blocked: Promise<void> | undefined }> {
  for (let taken = 0; taken < limit; ) {
    const blocked = stream.write(pattern(taken, 64 * 1024));
    taken += 64 * 1024;
    if (blocked !== undefined && (await staysPending(blocked))) return { taken, blocked };
  }
  return { taken: limit, blocked: undefined };
}

/** Writes copies, and overwrites each as soon as the stream reports that it no longer needs it. */
export function wiping(stream: ByteStream): Pick<ByteStream, "write"> {
  const written: { copy: Uint8Array; end: number }[] = [];
  let total = 0;
  const wipe = (): void => {
    const done = total - (stream.unsent?.(stream.write) ?? total);
    while (written[0] !== undefined && written[0].end <= done) written.shift()?.copy.fill(0xff);
  };
  return {
    write(data) {
      wipe();
      const copy = data.slice();
      total += copy.length;
      written.push({ copy, end: total });
      const blocked = stream.write(copy);
      wipe();
      return blocked;
    },
  };
}

/** Whether a promise is still pending after 100 ms, in which the system could settle it; no event would show that. */
export async function staysPending(promise: Promise<unknown>): Promise<boolean> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<true>((resolve) => {
    timer = setTimeout(resolve, 100, true);
  });
  try {
    return await Promise.race([late, promise.then(() => false as const)]);
  } finally {
    clearTimeout(timer);
  }
}

const period = 65_521;
const twice = repeatedPattern(2 * period + 2 * MiB);

/** The pattern, computed once and copied: each file that loads this module would wait for two million steps. */
function repeatedPattern(length: number): Uint8Array {
  const octets = new Uint8Array(length);
  for (let at = 0; at < period; at++) octets[at] = (at * 31 + (at >> 8)) & 0xff;
  for (let filled = period; filled < length; filled *= 2) octets.copyWithin(filled, 0, filled);
  return octets;
}

/** `length` bytes (at most 2 MiB) of an endless pattern, from `offset` on; must not be changed. */
export function pattern(offset: number, length: number): Uint8Array {
  const start = offset % period;
  return twice.subarray(start, start + length);
}

/** Throws unless `chunk` equals the pattern at `offset`. */
export function expectPattern(chunk: Uint8Array, offset: number): void {
  for (let at = 0; at < chunk.length; at += MiB) {
    const part = chunk.subarray(at, at + MiB);
    if (Buffer.compare(part, pattern(offset + at, part.length)) !== 0) {
      throw new Error(`wrong octets between ${offset + at} and ${offset + at + part.length}`);
    }
  }
}
