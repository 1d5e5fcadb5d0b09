/**
 * The transports type the runtimes by hand, so that neither a user's compiler nor that of another runtime needs their
 * types. The compiler checks here that what the transports use exists in each runtime's own types, as they use it.
 */
import type * as crypto from "node:crypto";
import type * as dns from "node:dns";
import type * as net from "node:net";
import type * as stream from "node:stream";
import type * as timers from "node:timers";
import type * as tls from "node:tls";
import type { Deno } from "@deno/shim-deno";
import type { Socket } from "bun";
import { expectTypeOf } from "expect-type";
import type { BunSocket } from "../../transports/bun-socket.ts";
import type { DenoConnection, DenoTcpConnection, DenoTlsConnection } from "../../transports/deno-socket.ts";
import type { NodeDuplex, NodeModules, NodeSocket, NodeTlsSocket } from "../../transports/node-builtins.ts";

// Node. That the function `onread.buffer` may return undefined, which keeps the buffer, @types/node does not say.
const local = { localAddress: "", localPort: 0, family: 4 };
const onread = { buffer: () => new Uint8Array(), callback: () => true };
expectTypeOf<typeof net.connect>().toBeCallableWith({ host: "", port: 25, ...local, onread, allowHalfOpen: true });
expectTypeOf<typeof net.connect>().toBeCallableWith({ path: "", noDelay: true, allowHalfOpen: true });
expectTypeOf<net.Socket>().toExtend<NodeSocket>();
expectTypeOf<stream.Duplex>().toExtend<NodeDuplex>();
expectTypeOf<tls.TLSSocket>().toExtend<NodeTlsSocket>();
expectTypeOf<typeof tls>().toExtend<NodeModules["node:tls"]>();
expectTypeOf<typeof stream>().toExtend<NodeModules["node:stream"]>();
expectTypeOf<typeof dns>().toExtend<NodeModules["node:dns"]>();
expectTypeOf<typeof crypto>().toExtend<NodeModules["node:crypto"]>();
// clearTimeout takes what setTimeout of the same runtime returns, and only that.
expectTypeOf<typeof timers>().toExtend<Omit<NodeModules["node:timers"], "clearTimeout">>();

// Deno, by the types of its shim for Node, which has no `startTls`.
expectTypeOf<Deno.TcpConn>().toExtend<DenoTcpConnection>();
expectTypeOf<Deno.TlsConn>().toExtend<DenoTlsConnection>();
expectTypeOf<Deno.UnixConn>().toExtend<DenoConnection>();
expectTypeOf<typeof Deno.connect>().toBeCallableWith({ hostname: "", port: 25 });
expectTypeOf<typeof Deno.connect>().toBeCallableWith({ transport: "unix", path: "" });

// Bun.
expectTypeOf<Socket>().toExtend<BunSocket>();
