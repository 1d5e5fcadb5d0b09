/** The contract on Bun's own sockets, and the places where Bun's defaults are not sufficient. */
import { describe, expect, it } from "vitest";
import { connect } from "../../transports/bun.ts";
import { certificates } from "../support/certificates.ts";
import { open, readText, reasonOf } from "./bytes.ts";
import { describeTransport, runningOn } from "./contract.ts";
import { serve, serveTls } from "./servers.ts";

const available = runningOn("bun");

describeTransport("bun", {
  transport: connect,
  available,
  gaps: {
    "connects from the source address and port asked for": "Bun.connect cannot choose it; the transport for Node does",
  },
});

describe.skipIf(!available)("Bun's own sockets", () => {
  it("refuse a source address", async () => {
    const server = await serve();
    for (const sourceAddress of [["127.0.0.2", 0] as const, ["", 2525] as const]) {
      const reason = await reasonOf(connect(server.endpoint, { sourceAddress: [...sourceAddress] }));
      expect(reason).toBeInstanceOf(TypeError);
      expect(String(reason)).toContain("smtplib/transports/node");
    }
  });

  it("verify the server whatever the environment says", async () => {
    const { good } = await certificates();
    const server = await serveTls(good);
    const before = process.env.NODE_TLS_REJECT_UNAUTHORIZED;
    process.env.NODE_TLS_REJECT_UNAUTHORIZED = "0";
    try {
      for (const servername of ["localhost", "127.0.0.1"]) {
        const stream = await open(connect, server.endpoint);
        expect(await reasonOf(stream.startTls({ servername }))).toMatchObject({ failure: "issuer" });
      }
    } finally {
      if (before === undefined) delete process.env.NODE_TLS_REJECT_UNAUTHORIZED;
      else process.env.NODE_TLS_REJECT_UNAUTHORIZED = before;
    }
  });

  it("send no address as SNI (RFC 6066 3)", async () => {
    const { ca, good } = await certificates();
    const server = await serveTls(good, (socket) => {
      const name: unknown = "servername" in socket ? socket.servername : undefined;
      socket.write(name === "" || name === false || name === undefined ? "none" : String(name));
    });
    for (const [servername, sni] of [
      ["127.0.0.1", "none"],
      ["localhost", "localhost"],
    ] as const) {
      const stream = await open(connect, server.endpoint);
      await stream.startTls({ servername, ca });
      expect(await readText(stream, sni.length)).toBe(sni);
    }
  });

  it("verify the address asked for and not the one connected to", async () => {
    const { ca, good, foreign } = await certificates();
    const server = await serveTls(good);
    const stream = await open(connect, server.endpoint);
    await stream.startTls({ servername: "::1", ca });
    expect(stream.peer.tls?.verified).toBe(true);

    const other = await open(connect, server.endpoint);
    expect(await reasonOf(other.startTls({ servername: "127.0.0.2", ca }))).toMatchObject({ failure: "name" });

    const foreigner = await open(connect, (await serveTls(foreign)).endpoint);
    expect(await reasonOf(foreigner.startTls({ servername: "127.0.0.2", ca }))).toMatchObject({ failure: "issuer" });
  });
});
