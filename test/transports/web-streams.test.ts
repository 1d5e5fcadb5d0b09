/** The contract on pairs of WHATWG streams, and their own pitfalls. */

import { once } from "node:events";
import net from "node:net";
import { Duplex } from "node:stream";
import { describe, expect, it } from "vitest";
import type { ByteStream, Transport } from "../../src/byte-stream.ts";
import { connect } from "../../transports/node.ts";
import { type StreamPair, streamOf, webStreams } from "../../transports/web-streams.ts";
import { bytes, readText, readToEnd, reasonOf } from "./bytes.ts";
import { describeTransport, gapsOfNodeTls, runningOn } from "./contract.ts";

const gaps = gapsOfNodeTls();

const together = "Deno closes a socket as a whole as soon as one of its streams ends or fails";
const gapsOfDenoStreams = {
  "still sends after the peer has ended its side": together,
  "gives an early reply although a write fails at the same time": together,
  "gives an early reply to a reader that asks only after the write has failed": together,
  "sends all that is queued before it closes under TLS": together,
};
const about = { available: true, network: false, gaps };

describeTransport("web-streams, of bytes", { transport: over("bytes"), ...about });
describeTransport("web-streams, of chunks", { transport: over("chunks"), ...about });
describeTransport("web-streams, of Deno's sockets", {
  transport: webStreams((endpoint) => {
    if ("path" in endpoint) throw new TypeError("no Unix sockets here");
    return Deno.connect({ hostname: endpoint.host, port: endpoint.port });
  }),
  ...about,
  available: runningOn("deno"),
  gaps: { ...gaps, ...gapsOfDenoStreams },
});

/** The used part of `Deno`. */
declare const Deno: { connect(options: { hostname: string; port: number }): Promise<StreamPair> };

/** A transport whose pairs are based on a real connection. */
function over(kind: "bytes" | "chunks"): Transport {
  return webStreams(async (endpoint, options) => pairOver(await connect(endpoint, options), kind));
}

function pairOver(stream: ByteStream, kind: "bytes" | "chunks") {
  const pull = async (controller: ReadableByteStreamController | ReadableStreamDefaultController<Uint8Array>) => {
    const chunk = await stream.read();
    if (chunk !== null) return controller.enqueue(chunk.slice());
    controller.close();
    if ("byobRequest" in controller) controller.byobRequest?.respond(0);
  };
  const cancel = (reason: unknown) => stream.abort(reason);
  const readable =
    kind === "bytes"
      ? new ReadableStream({ type: "bytes", pull, cancel })
      : new ReadableStream({ pull, cancel }, { highWaterMark: 0 });
  const writable = new WritableStream<Uint8Array>({
    write: (chunk) => stream.write(chunk),
    close: () => stream.close(),
    abort: (reason) => stream.abort(reason),
  });
  return { readable, writable };
}

describe("a pair of streams", () => {
  it("is not taken for this machine unless its maker says so", () => {
    const pair = () => new TransformStream<Uint8Array>();
    expect(streamOf(pair()).peer).toEqual({
      remoteAddress: undefined,
      localAddress: undefined,
      loopback: false,
      tls: undefined,
    });
    expect(streamOf({ ...parts(pair()), peer: { loopback: true, remoteAddress: "::1" } }).peer).toMatchObject({
      loopback: true,
      remoteAddress: "::1",
    });
  });

  it("gives back what it was given, in order, empty chunks left out", async () => {
    const { readable, writable } = new TransformStream<Uint8Array>();
    const stream = streamOf({ readable, writable });
    void stream.write(bytes("one "));
    void stream.write(new Uint8Array(0));
    void stream.write(bytes("two"));
    expect(await readText(stream, 7)).toBe("one two");
    const reading = readToEnd(stream);
    await stream.close();
    expect(await reading.catch(() => "")).toBe("");
  });

  it("is refused where somebody else reads it", () => {
    const { readable, writable } = new TransformStream<Uint8Array>();
    readable.getReader();
    expect(() => streamOf({ readable, writable })).toThrow(TypeError);
  });

  it("waits for no pair after an abort, and drops the one that comes too late", async () => {
    const cancelled: unknown[] = [];
    const readable = new ReadableStream<Uint8Array>({ cancel: (reason) => void cancelled.push(reason) });
    const writable = new WritableStream<Uint8Array>({ abort: (reason) => void cancelled.push(reason) });
    let deliver = (): void => {};
    const transport = webStreams(
      () =>
        new Promise((resolve) => {
          deliver = () => resolve({ readable, writable });
        }),
    );
    const controller = new AbortController();
    const connecting = reasonOf(transport({ host: "a.test", port: 25 }, { signal: controller.signal }));
    const reason = new Error("no time left");
    controller.abort(reason);
    expect(await connecting).toBe(reason);
    deliver();
    while (cancelled.length < 2) await new Promise((resolve) => setImmediate(resolve));
    expect(cancelled).toEqual([reason, reason]);
  });

  it("may be a runtime's own, of a socket", async () => {
    const server = net.createServer((socket) => void socket.pipe(socket)).listen(0, "127.0.0.1");
    await once(server, "listening");
    const address = server.address();
    const socket = net.connect({ host: "127.0.0.1", port: typeof address === "object" ? (address?.port ?? 0) : 0 });
    await once(socket, "connect");
    const stream = streamOf(Duplex.toWeb(socket));
    await stream.write(bytes("hello"));
    expect(await readText(stream, 5)).toBe("hello");
    await stream.close();
    server.close();
  });
});

function parts({ readable, writable }: TransformStream<Uint8Array, Uint8Array>) {
  return { readable, writable };
}
