/** A server that offers CHUNKING, seen as one that does not: what goes by DATA has to be tried with it, too. */
import type { ConnectOptions, Endpoint, Transport } from "../../src/byte-stream.ts";
import { defaultTransport } from "../../src/runtime.ts";

/** The runtime's own transport, but EHLO's CHUNKING is another word. In clear text only. */
export const withoutChunking: Transport = async (endpoint: Endpoint, options: ConnectOptions) => {
  const stream = await (await defaultTransport({ endpoint, options }))(endpoint, options);
  const read = stream.read.bind(stream);
  stream.read = async () => {
    const bytes = await read();
    if (bytes === null) return null;
    const text = Buffer.from(bytes).toString("latin1");
    return text.includes("CHUNKING") ? Buffer.from(text.replace("CHUNKING", "XHUNKING"), "latin1") : bytes;
  };
  return stream;
};
