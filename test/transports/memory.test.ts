/** The contract on streams in memory, connected to the tests' servers, and their own features. */
import { describe, expect, it } from "vitest";
import type { Endpoint } from "../../src/byte-stream.ts";
import { createMemoryPair, memoryTransport } from "../../transports/memory.ts";
import { bridged } from "./bridged.ts";
import { bytes, pattern, readText, readToEnd, reasonOf } from "./bytes.ts";
import { describeTransport, gapsOfNodeTls } from "./contract.ts";

const gaps = gapsOfNodeTls();

describeTransport("memory", { transport: bridged({}), available: true, network: false, gaps });

describeTransport("memory, in pieces of 1,000 octets", {
  transport: bridged({ chunkSize: 1_000, highWaterMark: 10_000 }),
  available: true,
  network: false,
  gaps,
});

describe("a pair in memory", () => {
  it("gives the pieces that were asked for", async () => {
    const [client, server] = createMemoryPair({ chunkSize: 2 });
    client.write(bytes("hello"));
    client.end();
    const pieces: string[] = [];
    for (let chunk = await server.read(); chunk !== null; chunk = await server.read()) {
      pieces.push(new TextDecoder().decode(chunk));
    }
    expect(pieces).toEqual(["he", "ll", "o"]);
  });

  it("asks anew for the size of each piece", async () => {
    let size = 0;
    const [client, server] = createMemoryPair({
      chunkSize: () => {
        size += 1;
        return size;
      },
    });
    client.write(bytes("abbccc"));
    expect([await readText(server, 1), await readText(server, 2), await readText(server, 3)]).toEqual([
      "a",
      "bb",
      "ccc",
    ]);
  });

  it("takes no more than the high water mark before the writer waits", async () => {
    const [client, server] = createMemoryPair({ highWaterMark: 10 });
    expect(client.write(pattern(0, 10))).toBeUndefined();
    const blocked = client.write(pattern(0, 1));
    expect(blocked).toBeInstanceOf(Promise);
    await server.read();
    await blocked;
  });

  it("lets one end finish while the other goes on", async () => {
    const [client, server] = createMemoryPair();
    client.end();
    expect(await server.read()).toBeNull();
    server.write(bytes("still here"));
    await server.close();
    expect(await readToEnd(client)).toBe("still here");
  });

  it("lets the peer read what was queued before an abort, then fails", async () => {
    const [client, server] = createMemoryPair();
    server.write(bytes("421 bye\r\n"));
    server.abort(new Error("not told to the peer"));
    expect(await readText(client, 9)).toBe("421 bye\r\n");
    expect(await reasonOf(client.read())).toMatchObject({ code: "ECONNRESET" });
  });

  it("fails a write to an end that has closed", async () => {
    const [client, server] = createMemoryPair();
    await server.close();
    expect(await reasonOf(Promise.resolve(client.write(bytes("x"))))).toMatchObject({ code: "EPIPE" });
    expect(await client.read()).toBeNull();
  });

  it("has one reader at a time, who gets what comes", async () => {
    const [client, server] = createMemoryPair();
    const first = client.read();
    expect(String(await reasonOf(client.read()))).toMatch(/a read is already pending/);
    server.write(bytes("hello"));
    expect(await first).toEqual(bytes("hello"));
  });

  it("begins no TLS over what is unread, or while somebody reads, and is over then", async () => {
    const options = { servername: "localhost" };
    const [unread, server] = createMemoryPair();
    server.write(bytes("220 go ahead\r\n250 injected\r\n"));
    expect(String(await reasonOf(unread.startTls(options)))).toMatch(/bytes in clear are unread/);
    expect(String(await reasonOf(unread.read()))).toMatch(/bytes in clear are unread/);
    const [read] = createMemoryPair();
    const reading = reasonOf(read.read());
    expect(String(await reasonOf(read.startTls(options)))).toMatch(/a read is pending/);
    expect(String(await reading)).toMatch(/a read is pending/);
  });

  it("is loopback without addresses", () => {
    for (const { peer } of createMemoryPair()) {
      expect(peer).toEqual({ remoteAddress: undefined, localAddress: undefined, loopback: true, tls: undefined });
    }
  });
});

describe("the transport in memory", () => {
  it("hands the endpoint and the server's end to the function", async () => {
    const seen: Endpoint[] = [];
    const transport = memoryTransport((server, endpoint) => {
      seen.push(endpoint);
      server.write(bytes("220 ready\r\n"));
    });
    const stream = await transport({ host: "mail.example.com", port: 25 }, {});
    expect(await readText(stream, 11)).toBe("220 ready\r\n");
    expect(seen).toEqual([{ host: "mail.example.com", port: 25 }]);
  });

  it("rejects with the reason of a signal that is aborted", async () => {
    const reason = new Error("no time");
    const transport = memoryTransport(() => {});
    expect(await reasonOf(transport({ path: "/x" }, { signal: AbortSignal.abort(reason) }))).toBe(reason);
  });

  it("fails to connect where the function throws, and resets where it rejects", async () => {
    const refusing = memoryTransport(() => {
      throw new Error("refused");
    });
    await expect(refusing({ path: "/x" }, {})).rejects.toThrow("refused");
    const failing = memoryTransport(async () => {
      throw new Error("crashed");
    });
    const stream = await failing({ path: "/x" }, {});
    expect(await reasonOf(stream.read())).toMatchObject({ code: "ECONNRESET" });
  });
});
