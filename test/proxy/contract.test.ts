/** The contract of transports through proxies, with a proxy in memory that leads to the servers of the tests. */
import type { ByteStream, Endpoint, Transport } from "../../src/byte-stream.ts";
import { httpConnect, socks } from "../../src/proxy/index.ts";
import { type MemoryOptions, type MemoryStream, memoryTransport } from "../../transports/memory.ts";
import { connect } from "../../transports/node.ts";
import { carry } from "../transports/bridged.ts";
import { bytes } from "../transports/bytes.ts";
import { describeTransport, gapsOfNodeTls } from "../transports/contract.ts";

const gaps = gapsOfNodeTls();

describeTransport("through SOCKS5", {
  transport: socks({ host: "proxy.test" }, proxyInMemory(socks5, {})),
  available: true,
  network: false,
  gaps,
});

describeTransport("through HTTP under TLS, in pieces of 1,000 octets", {
  transport: httpConnect(
    { host: "proxy.test", port: 3128, tls: {} },
    underTls(proxyInMemory(http, { chunkSize: 1_000, highWaterMark: 10_000 })),
  ),
  available: true,
  network: false,
  gaps,
});

type Asked = { endpoint: Endpoint; answer: Uint8Array };

/** A transport to a proxy without a socket of its own. */
function proxyInMemory(hear: (server: MemoryStream) => Promise<Asked>, options: MemoryOptions): Transport {
  return memoryTransport(async (server) => {
    const { endpoint, answer } = await hear(server);
    const socket = await connect(endpoint, {});
    await server.write(answer);
    await carry(server, socket);
  }, options);
}

async function socks5(server: MemoryStream): Promise<Asked> {
  await server.read();
  await server.write(Uint8Array.of(5, 0));
  const request = Buffer.from((await server.read()) ?? []);
  const endpoint = { host: [...request.subarray(4, 8)].join("."), port: request.readUInt16BE(8) };
  return { endpoint, answer: Uint8Array.of(5, 0, 0, 1, 0, 0, 0, 0, 0, 0) };
}

async function http(server: MemoryStream): Promise<Asked> {
  const request = new TextDecoder().decode((await server.read()) ?? undefined);
  const [, host = "", port] = /^CONNECT ([^:]+):(\d+)/.exec(request) ?? [];
  return { endpoint: { host, port: Number(port) }, answer: bytes("HTTP/1.1 200 Connection established\r\n\r\n") };
}

/** Simulates TLS to the proxy: the tests concern the layer above it. */
function underTls(transport: Transport): Transport {
  return async (endpoint, options) => {
    const stream = await transport(endpoint, options);
    const pretended: Partial<ByteStream> = { startTls: async () => {} };
    return Object.assign(stream, pretended);
  };
}
