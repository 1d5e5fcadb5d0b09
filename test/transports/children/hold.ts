/** Connects, perhaps with TLS, and calls `unref()`, perhaps `ref()` later. */
import type { Endpoint } from "../../../src/byte-stream.ts";
import { defaultTransport } from "../../../src/runtime.ts";
import { connect as connectByNode } from "../../../transports/node.ts";

/** The task of the program. */
export type Asked = {
  readonly endpoint: Endpoint;
  readonly tls: boolean;
  /** The authority; undefined if it is among the runtime's own. */
  readonly ca?: string | undefined;
  /** True: connects by `node:net`, even if the runtime has sockets of its own. */
  readonly byNode: boolean;
  /** When to call `unref()`: before or after the TLS handshake. */
  readonly unref: "early" | "late";
  readonly reads: boolean;
  readonly refAgain: boolean;
};

const asked: Asked = JSON.parse(String(process.argv.at(-1)));
const connect = asked.byNode ? connectByNode : await defaultTransport({ endpoint: asked.endpoint, options: {} });
const stream = await connect(asked.endpoint, {});
// Keeps the process alive during the handshake.
const meanwhile = setInterval(() => {}, 1_000);
if (asked.unref === "early") stream.unref?.();
if (asked.tls) await stream.startTls({ servername: "localhost", ca: asked.ca });
if (asked.unref === "late") stream.unref?.();
if (asked.reads) stream.read().then(() => console.log("read"));
if (asked.refAgain) stream.ref?.();
clearInterval(meanwhile);
console.log("ready");
