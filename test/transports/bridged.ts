/** The transport in memory, connected to a real server. */
import type { ByteStream, Transport } from "../../src/byte-stream.ts";
import { type MemoryOptions, type MemoryStream, memoryTransport } from "../../transports/memory.ts";
import { connect } from "../../transports/node.ts";

/** A pair in memory whose server's end is connected to a server of the tests. */
export function bridged(options: MemoryOptions): Transport {
  return async (endpoint, about) => {
    const socket = await connect(endpoint, about);
    return memoryTransport((server) => carry(server, socket), options)(endpoint, about);
  };
}

/** Copies all bytes between two streams in both directions, with the ends and failures. */
export async function carry(server: MemoryStream, socket: ByteStream): Promise<void> {
  const down = (async () => {
    for (let chunk = await socket.read(); chunk !== null; chunk = await socket.read())
      await server.write(new Uint8Array(chunk));
    server.end();
  })();
  down.catch((reason) => server.abort(reason));
  try {
    for (let chunk = await server.read(); chunk !== null; chunk = await server.read()) {
      // A failed write is reported in the other direction, after the peer's earlier bytes.
      const failed = await Promise.resolve(socket.write(chunk)).catch((reason: unknown) => ({ reason }));
      if (failed === undefined) continue;
      await down.catch(() => {});
      server.abort(failed.reason);
      return;
    }
    await socket.close();
  } catch (reason) {
    socket.abort(reason);
  }
}
