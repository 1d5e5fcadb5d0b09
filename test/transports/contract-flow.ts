/** Contract: bytes arrive completely, in order and without a copy, in pieces of any size, and with back-pressure. */
import { once } from "node:events";
import type { Socket } from "node:net";
import { expect } from "vitest";
import type { ByteStream, Transport } from "../../src/byte-stream.ts";
import {
  bytes,
  expectPattern,
  fillUntilStuck,
  HELD,
  MiB,
  MORE_THAN_HELD,
  open,
  pattern,
  readText,
  staysPending,
  wiping,
} from "./bytes.ts";
import type { Check } from "./contract.ts";
import { gone, send, serve } from "./servers.ts";

const much = 40 * MiB;

/** Declares the tests. */
export function describeFlow(transport: Transport, check: Check): void {
  check("gives what is received as it comes", async () => {
    const server = await serve();
    const stream = await open(transport, server.endpoint);
    const socket = await server.accepted();
    for (const piece of ["2", "20 ", "mail.example", "\r\n"]) {
      const reading = stream.read();
      socket.write(piece);
      expect(new TextDecoder().decode((await reading) ?? undefined)).toBe(piece);
    }
  });

  check("keeps what comes before it is asked for, in order", async () => {
    const server = await serve((socket) => {
      socket.write("one ");
      socket.write("two ");
      socket.end("three");
    });
    const stream = await open(transport, server.endpoint);
    expect(await readText(stream, 13)).toBe("one two three");
    expect(await stream.read()).toBeNull();
  });

  check("sends exactly the octets that it was given, without a wait between writes", async () => {
    const server = await serve();
    const stream = await open(transport, server.endpoint);
    const received = collect(await server.accepted());
    const all = Array.from({ length: 256 }, (_, i) => pattern(i * 7, i));
    for (const part of all) await stream.write(part);
    await stream.write(new Uint8Array(0));
    await stream.close();
    expect(Buffer.compare(await received, Buffer.concat(all))).toBe(0);
  });

  check("sends a view into a larger buffer as that view", async () => {
    const server = await serve();
    const stream = await open(transport, server.endpoint);
    const received = collect(await server.accepted());
    await stream.write(bytes("xxxEHLO localhost\r\nxxx").subarray(3, 19));
    await stream.close();
    expect((await received).toString()).toBe("EHLO localhost\r\n");
  });

  check("receives 40 MB", async () => {
    const server = await serve((socket) => void send(socket, much));
    const stream = await open(transport, server.endpoint);
    expect(await expectPatternUntilEnd(stream)).toBe(much);
  });

  check("sends 40 MB", async () => {
    const server = await serve();
    const stream = await open(transport, server.endpoint);
    const received = count(await server.accepted());
    await sendAll(stream, much);
    await stream.close();
    expect(await received).toBe(much);
  });

  check("sends and receives 40 MB at a time", async () => {
    const server = await serve((socket) => void send(socket, much));
    const stream = await open(transport, server.endpoint);
    const received = count(await server.accepted());
    const [, read] = await Promise.all([sendAll(stream, much), expectPatternUntilEnd(stream)]);
    await stream.close();
    expect([read, await received]).toEqual([much, much]);
  });

  check("makes the writer wait while the peer does not read, and goes on when it does", async () => {
    const server = await serve((socket) => socket.pause());
    const stream = await open(transport, server.endpoint);
    const socket = await server.accepted();
    const { taken, blocked } = await fillUntilStuck(stream, MORE_THAN_HELD);
    expect(blocked).toBeInstanceOf(Promise);
    expect(taken).toBeLessThan(HELD);
    const received = count(socket);
    socket.resume();
    await blocked;
    await stream.close();
    expect(await received).toBe(taken);
  });

  check("never looks again at what it does not call unsent", async () => {
    const server = await serve((socket) => socket.pause());
    const stream = await open(transport, server.endpoint);
    const socket = await server.accepted();
    const writer = wiping(stream);
    const { taken, blocked } = await fillUntilStuck(writer, MORE_THAN_HELD);
    const received = count(socket);
    socket.resume();
    await blocked;
    await sendAll(writer, taken + much / 4, taken);
    await stream.close();
    expect(await received).toBe(taken + much / 4);
  });

  check("tells nothing of what a wrapper's write may keep", async () => {
    const server = await serve();
    const stream = await open(transport, server.endpoint);
    const wrapper: ByteStream = { ...stream, write: (data) => stream.write(data) };
    expect(wrapper.unsent?.(wrapper.write)).toBeUndefined();
  });

  check("takes more while a write waits, and sends all of it in order", async () => {
    const server = await serve((socket) => socket.pause());
    const stream = await open(transport, server.endpoint);
    const socket = await server.accepted();
    const { taken, blocked } = await fillUntilStuck(stream, MORE_THAN_HELD);
    const more = [stream.write(pattern(taken, 1000)), stream.write(pattern(taken + 1000, 1000))];
    const received = count(socket);
    socket.resume();
    await Promise.all([blocked, ...more]);
    await stream.close();
    expect(await received).toBe(taken + 2000);
  });

  check("makes the peer wait while nobody reads", async () => {
    let sent = 0;
    const server = await serve(async (socket) => {
      while (sent < MORE_THAN_HELD && !socket.destroyed) {
        const room = socket.write(pattern(sent, MiB));
        sent += MiB;
        if (!room) await once(socket, "drain").catch(() => {});
      }
      socket.end();
    });
    const stream = await open(transport, server.endpoint);
    for (let before = -1; before !== sent; ) {
      before = sent;
      await staysPending(new Promise(() => {}));
    }
    expect(sent).toBeLessThan(HELD);
    expect(await expectPatternUntilEnd(stream)).toBe(MORE_THAN_HELD);
  });

  check("reads on while a write waits", async () => {
    const server = await serve((socket) => socket.pause());
    const stream = await open(transport, server.endpoint);
    const socket = await server.accepted();
    const { blocked } = await fillUntilStuck(stream, MORE_THAN_HELD);
    const reading = readText(stream, 5);
    socket.write("552 x");
    expect(await reading).toBe("552 x");
    stream.abort(new Error("enough"));
    await expect(blocked).rejects.toThrow("enough");
    await gone(socket);
  });
}

/** Compares all received bytes with the pattern; returns their number. */
async function expectPatternUntilEnd(stream: ByteStream): Promise<number> {
  let at = 0;
  for (let chunk = await stream.read(); chunk !== null; chunk = await stream.read()) {
    expectPattern(chunk, at);
    at += chunk.length;
  }
  return at;
}

async function sendAll(stream: Pick<ByteStream, "write">, length: number, from = 0): Promise<void> {
  for (let at = from; at < length; at += 64 * 1024) {
    const blocked = stream.write(pattern(at, 64 * 1024));
    if (blocked !== undefined) await blocked;
  }
}

/** Counts and checks what a server receives, until the client ends. */
function count(socket: Socket): Promise<number> {
  let at = 0;
  return new Promise((resolve, reject) => {
    socket.on("data", (chunk) => {
      try {
        expectPattern(chunk, at);
      } catch (error) {
        reject(error);
      }
      at += chunk.length;
    });
    socket.on("end", () => {
      resolve(at);
      socket.end();
    });
    socket.on("error", reject);
  });
}

function collect(socket: Socket): Promise<Buffer> {
  const parts: Buffer[] = [];
  return new Promise((resolve, reject) => {
    socket.on("data", (chunk) => parts.push(chunk));
    socket.on("end", () => {
      resolve(Buffer.concat(parts));
      socket.end();
    });
    socket.on("error", reject);
  });
}
