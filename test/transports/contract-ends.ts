/** Contract: how either side ends a connection, and that nothing is left of it. */
import { once } from "node:events";
import { expect } from "vitest";
import type { Transport } from "../../src/byte-stream.ts";
import { bytes, fillUntilStuck, MiB, open, pattern, readText, readToEnd, reasonOf } from "./bytes.ts";
import type { Check } from "./contract.ts";
import { runningOn } from "./contract.ts";
import { gone, reset, serve } from "./servers.ts";

/** Declares the tests. */
export function describeEnds(transport: Transport, check: Check): void {
  check("reads null once the peer has ended its side, as often as asked", async () => {
    const server = await serve((socket) => socket.end("bye"));
    const stream = await open(transport, server.endpoint);
    expect(await readToEnd(stream)).toBe("bye");
    expect(await stream.read()).toBeNull();
    expect(await stream.read()).toBeNull();
  });

  check("resolves a pending read with null when the peer ends its side", async () => {
    const server = await serve();
    const stream = await open(transport, server.endpoint);
    const reading = stream.read();
    (await server.accepted()).end();
    expect(await reading).toBeNull();
  });

  check("still sends after the peer has ended its side", async () => {
    const server = await serve((socket) => socket.end());
    const stream = await open(transport, server.endpoint);
    expect(await stream.read()).toBeNull();
    const socket = await server.accepted();
    const arrived = once(socket, "data");
    await stream.write(bytes("QUIT\r\n"));
    expect(String((await arrived)[0])).toBe("QUIT\r\n");
  });

  check("gives what came before a reset, then the error", async () => {
    const server = await serve();
    const stream = await open(transport, server.endpoint);
    const socket = await server.accepted();
    const received = readText(stream, 9);
    socket.write("421 bye\r\n");
    expect(await received).toBe("421 bye\r\n");
    const reading = stream.read();
    reset(socket);
    expect(await reasonOf(reading)).toBeInstanceOf(Error);
    expect(await reasonOf(stream.read())).toBeInstanceOf(Error);
    expect(await reasonOf(Promise.resolve(stream.write(bytes("x"))))).toBeInstanceOf(Error);
  });

  check("gives what came before a reset to a reader that asks only later", async () => {
    const server = await serve();
    const stream = await open(transport, server.endpoint);
    const socket = await server.accepted();
    socket.write("421 bye\r\n", () => reset(socket));
    await once(socket, "close");
    expect(await readText(stream, 9)).toBe("421 bye\r\n");
  });

  check("gives an early reply although a write fails at the same time", async () => {
    const server = await serve((socket) => socket.pause());
    for (let round = 0; round < 10; round++) {
      const stream = await open(transport, server.endpoint);
      const socket = await server.accepted();
      await stream.write(bytes("some of the body\r\n"));
      await new Promise((resolve) => socket.write("552 too big\r\n", resolve));
      reset(socket);
      const writing = (async () => {
        for (let at = 0; at < 16 * MiB; at += MiB) await stream.write(pattern(at, MiB));
      })();
      const failed = reasonOf(writing);
      expect(await readText(stream, 13)).toBe("552 too big\r\n");
      expect(await failed).toBeInstanceOf(Error);
      stream.abort();
    }
  });

  check("gives an early reply to a reader that asks only after the write has failed", async () => {
    const server = await serve((socket) => socket.pause());
    const stream = await open(transport, server.endpoint);
    const socket = await server.accepted();
    const { blocked } = await fillUntilStuck(stream, 100 * MiB);
    const failed = reasonOf(Promise.resolve(blocked));
    socket.write("552 too big\r\n", () => reset(socket));
    expect(await failed).toBeInstanceOf(Error);
    expect(await readText(stream, 13)).toBe("552 too big\r\n");
  });

  check("sends all that is queued before it closes", async () => {
    let received = 0;
    const server = await serve((socket) =>
      socket.on("data", (chunk) => {
        received += chunk.length;
      }),
    );
    const stream = await open(transport, server.endpoint);
    const ended = once(await server.accepted(), "end");
    void stream.write(pattern(0, 2 * MiB))?.catch(() => {});
    await stream.close();
    await ended;
    expect(received).toBe(2 * MiB);
  });

  check("closes once, however often it is told to", async () => {
    const server = await serve((socket) => socket.on("end", () => socket.end()).resume());
    const stream = await open(transport, server.endpoint);
    await Promise.all([stream.close(), stream.close()]);
    await stream.close();
    stream.abort();
    await server.idle();
  });

  check("closes in bounded time although the peer neither reads nor ends", async () => {
    const server = await serve((socket) => socket.pause());
    const stream = await open(transport, server.endpoint);
    const { blocked } = await fillUntilStuck(stream, 100 * MiB);
    const failed = blocked === undefined ? undefined : reasonOf(blocked);
    const start = performance.now();
    await stream.close();
    expect(performance.now() - start).toBeLessThan(5_000);
    expect(await failed).toBeInstanceOf(Error);
    await gone(await server.accepted());
  });

  check("closes a connection whose peer never ends its own side", async () => {
    const server = await serve((socket) => socket.resume());
    const stream = await open(transport, server.endpoint);
    await stream.close();
    await once(await server.accepted(), "end");
  });

  check("closes a connection that is already lost", async () => {
    const server = await serve();
    const stream = await open(transport, server.endpoint);
    const reading = reasonOf(stream.read());
    reset(await server.accepted());
    await reading;
    await stream.close();
  });

  check("settles a pending read when it is closed", async () => {
    const server = await serve((socket) => socket.on("end", () => socket.end()).resume());
    const stream = await open(transport, server.endpoint);
    const reading = stream.read().then(
      (chunk) => chunk,
      () => null,
    );
    await stream.close();
    expect(await reading).toBeNull();
  });

  check("rejects reads and writes after close", async () => {
    const server = await serve((socket) => socket.resume());
    const stream = await open(transport, server.endpoint);
    await stream.close();
    expect(await reasonOf(Promise.resolve(stream.write(bytes("x"))))).toBeInstanceOf(Error);
    expect(await stream.read().catch(() => null)).toBeNull();
  });

  check("rejects a pending read and a waiting write with the reason of an abort", async () => {
    const server = await serve((socket) => socket.pause());
    const stream = await open(transport, server.endpoint);
    const reading = reasonOf(stream.read());
    const { blocked } = await fillUntilStuck(stream, 100 * MiB);
    const writing = reasonOf(Promise.resolve(blocked));
    const reason = new Error("aborted by the test");
    stream.abort(reason);
    expect(await reading).toBe(reason);
    expect(await writing).toBe(reason);
    await gone(await server.accepted());
  });

  check("rejects reads and writes after an abort with its first reason", async () => {
    const server = await serve((socket) => socket.write("unread"));
    const stream = await open(transport, server.endpoint);
    const reason = new Error("first");
    stream.abort(reason);
    stream.abort(new Error("second"));
    expect(await reasonOf(stream.read())).toBe(reason);
    expect(await reasonOf(Promise.resolve(stream.write(bytes("x"))))).toBe(reason);
    await stream.close();
    await gone(await server.accepted());
  });

  check("rejects with an error where an abort gives no reason", async () => {
    const server = await serve();
    const stream = await open(transport, server.endpoint);
    const reading = reasonOf(stream.read());
    stream.abort();
    expect(await reading).toBeInstanceOf(Error);
  });

  check("aborts a close that waits", async () => {
    const server = await serve((socket) => socket.pause());
    const stream = await open(transport, server.endpoint);
    const { blocked } = await fillUntilStuck(stream, 100 * MiB);
    void blocked?.catch(() => {});
    const closing = stream.close();
    const start = performance.now();
    stream.abort(new Error("now"));
    await closing;
    expect(performance.now() - start).toBeLessThan(1_000);
    await gone(await server.accepted());
  });

  check("leaves nothing open behind it", async () => {
    const server = await serve((socket) => socket.on("end", () => socket.end()).resume());
    const before = resources();
    for (let i = 0; i < 5; i++) {
      const stream = await transport(server.endpoint, {});
      const reading = stream.read().catch(() => null);
      await stream.write(bytes("QUIT\r\n"));
      if (i % 2 === 0) await stream.close();
      else stream.abort();
      await reading;
    }
    await server.idle();
    for (let turn = 0; turn < 100 && beyond(before).length > 0; turn++) {
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(beyond(before)).toEqual([]);
  });
}

/** The sockets and timers that keep the process alive, if the runtime lists them. */
function resources(): string[] {
  if (!runningOn("node")) return [];
  return process.getActiveResourcesInfo().filter((kind) => /TCPSocket|Pipe|TLS|Timeout/.test(kind));
}

/** The resources that are new; those of the test runner may have ended meanwhile. */
function beyond(before: string[]): string[] {
  const known = [...before];
  return resources().filter((kind) => {
    const at = known.indexOf(kind);
    if (at >= 0) known.splice(at, 1);
    return at < 0;
  });
}
