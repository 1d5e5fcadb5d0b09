/**
 * The transports declare the runtimes' types themselves, so that neither a user's compiler nor that of another runtime
 * needs them. Here the compiler checks these declarations against each runtime's own types.
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

// Node. @types/node does not declare that `onread.buffer` may return undefined, which keeps the buffer.
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
// clearTimeout accepts only the result of setTimeout on the same runtime.
expectTypeOf<typeof timers>().toExtend<Omit<NodeModules["node:timers"], "clearTimeout">>();

// Deno, with the types of its shim for Node, which has no `startTls`.
expectTypeOf<Deno.TcpConn>().toExtend<DenoTcpConnection>();
expectTypeOf<Deno.TlsConn>().toExtend<DenoTlsConnection>();
expectTypeOf<Deno.UnixConn>().toExtend<DenoConnection>();
expectTypeOf<typeof Deno.connect>().toBeCallableWith({ hostname: "", port: 25 });
expectTypeOf<typeof Deno.connect>().toBeCallableWith({ transport: "unix", path: "" });

// Bun.
expectTypeOf<Socket>().toExtend<BunSocket>();
