/** The common base of transports on pairs of WHATWG streams: waiting for sent bytes, and releasing the pair. */
import { describe, expect, it } from "vitest";
import { type StreamPair, WebStream } from "../../transports/stream-pair.ts";
import { bytes, reasonOf } from "./bytes.ts";

const peer = { remoteAddress: undefined, localAddress: undefined, loopback: false, tls: undefined };

/** A stream on a pair; `take` makes the other side accept one more chunk. */
function paired(): { stream: WebStream; pair: StreamPair; taken: string[]; take: () => void; fail: () => void } {
  const taken: string[] = [];
  const waiting: { resolve: () => void; reject: (reason: Error) => void }[] = [];
  const writable = new WritableStream<Uint8Array>({
    write: (chunk) =>
      new Promise<void>((resolve, reject) => {
        waiting.push({ resolve, reject });
        taken.push(new TextDecoder().decode(chunk));
      }),
  });
  const readable = new ReadableStream<Uint8Array>();
  const pair = { readable, writable };
  return {
    stream: new WebStream(pair, peer),
    pair,
    taken,
    take: () => waiting.shift()?.resolve(),
    fail: () => waiting.shift()?.reject(new Error("reset")),
  };
}

describe("untilSent()", () => {
  it("resolves once the other side has taken all that was written", async () => {
    const { stream, take, taken } = paired();
    await stream.untilSent();
    expect(stream.write(bytes("hello"))).toBeUndefined();
    let sent = false;
    const all = stream.untilSent().then(() => {
      sent = true;
    });
    while (taken.length === 0) await new Promise((resolve) => setTimeout(resolve));
    expect(sent).toBe(false);
    take();
    await all;
  });

  it("rejects where a write failed, before and after that was noticed", async () => {
    const { stream, fail, taken } = paired();
    stream.write(bytes("hello"));
    const all = reasonOf(stream.untilSent());
    while (taken.length === 0) await new Promise((resolve) => setTimeout(resolve));
    fail();
    expect(String(await all)).toMatch(/reset/);
    expect(String(await reasonOf(stream.untilSent()))).toMatch(/reset/);
    await stream.close();
  });
});

describe("release()", () => {
  it("gives both streams back unlocked", () => {
    const { stream, pair } = paired();
    stream.release();
    expect(() => pair.readable.getReader()).not.toThrow();
    expect(() => pair.writable.getWriter()).not.toThrow();
  });

  it("is refused while somebody reads, and no second reader is taken either", async () => {
    const { stream } = paired();
    const reading = reasonOf(stream.read());
    expect(String(await reasonOf(stream.read()))).toMatch(/a read is already pending/);
    expect(() => stream.release()).toThrow(/a read is pending/);
    await stream.close();
    expect(String(await reading)).toMatch(/the stream is closed/);
  });
});

it("takes a reader that is no stream of the runtime's, and writes on after it was closed no more", async () => {
  const chunks = [bytes("he"), new Uint8Array(0), bytes("llo")];
  const reader = {
    read: async () => {
      const value = chunks.shift();
      return value === undefined ? { done: true } : { done: false, value };
    },
    cancel: async () => {},
    releaseLock: () => {},
  };
  const stream = new WebStream({ readable: { getReader: () => reader }, writable: new WritableStream() }, peer);
  expect([await stream.read(), await stream.read(), await stream.read()]).toEqual([bytes("he"), bytes("llo"), null]);
  await stream.close();
  expect(await reasonOf(Promise.resolve(stream.write(bytes("x"))))).toBeInstanceOf(Error);
});
