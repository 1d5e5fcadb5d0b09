/** Connects, perhaps under TLS, and lets go of the process, perhaps to hold it again. */
import type { Endpoint } from "../../../src/byte-stream.ts";
import { defaultTransport } from "../../../src/runtime.ts";
import { connect as connectByNode } from "../../../transports/node.ts";

/** What to do. */
export type Asked = {
  readonly endpoint: Endpoint;
  readonly tls: boolean;
  /** The authority; left out, it is among the runtime's own. */
  readonly ca?: string | undefined;
  /** By `node:net` also where the runtime has sockets of its own. */
  readonly byNode: boolean;
  /** When to let go: before the TLS handshake, or behind it. */
  readonly unref: "early" | "late";
  readonly reads: boolean;
  readonly refAgain: boolean;
};

const asked: Asked = JSON.parse(String(process.argv.at(-1)));
const connect = asked.byNode ? connectByNode : await defaultTransport({ endpoint: asked.endpoint, options: {} });
const stream = await connect(asked.endpoint, {});
// The handshake itself is awaited: a timer holds the process for it.
const meanwhile = setInterval(() => {}, 1_000);
if (asked.unref === "early") stream.unref?.();
if (asked.tls) await stream.startTls({ servername: "localhost", ca: asked.ca });
if (asked.unref === "late") stream.unref?.();
if (asked.reads) stream.read().then(() => console.log("read"));
if (asked.refAgain) stream.ref?.();
clearInterval(meanwhile);
console.log("ready");
