/** Servers on Node in a separate process, for TLS settings that other runtimes, or this Node, do not support. */
import { type ChildProcessByStdio, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import type { TlsOptions } from "node:tls";
import { onTestFinished } from "vitest";
import type { Pair } from "./certificates.ts";
import { runtimes } from "./runtimes.ts";

/** What the process is asked for, a line each: to start a server, or to end it. */
type Asked =
  | { readonly id: number; readonly kind: "greets"; readonly options: TlsOptions; readonly greeting: string }
  | { readonly id: number; readonly kind: "renegotiates"; readonly first: Pair; readonly second: Pair }
  | { readonly id: number; readonly kind: "end" };

/** Answers with a line `{ id, port }` for each server, and ends with its input. */
const program = `
const tls = require("node:tls");
const { SSL_OP_NO_SESSION_RESUMPTION_ON_RENEGOTIATION } = require("node:crypto").constants;
const running = new Map();
const kinds = {
  greets: ({ options, greeting }) => [options, (socket) => socket.end(greeting)],
  // As soon as the client has sent anything, with another certificate.
  renegotiates: ({ first, second }) => [
    { ...first, secureOptions: SSL_OP_NO_SESSION_RESUMPTION_ON_RENEGOTIATION, maxVersion: "TLSv1.2" },
    (socket) => {
      socket.write("220 before\\r\\n");
      socket.once("data", () => {
        socket.setKeyCert(tls.createSecureContext(second));
        socket.renegotiate({}, () => socket.write("250 after\\r\\n"));
      });
    },
  ],
};
require("node:readline").createInterface(process.stdin).on("line", (line) => {
  const asked = JSON.parse(line);
  if (asked.kind === "end") return running.get(asked.id)?.();
  const [options, talk] = kinds[asked.kind](asked);
  const sockets = new Set();
  const server = tls.createServer(options, (socket) => {
    socket.on("error", () => {});
    talk(socket);
  });
  server.on("connection", (socket) => sockets.add(socket));
  server.on("tlsClientError", () => {});
  server.listen(0, "127.0.0.1", () => console.log(JSON.stringify({ id: asked.id, port: server.address().port })));
  running.set(asked.id, () => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
}).on("close", () => process.exit());
`;

/** Starts a TLS server that ends with the test; its port on 127.0.0.1. The options must be JSON. */
export function startTlsChild(options: TlsOptions, greeting = "hello"): Promise<number> {
  return start({ id: ++ids, kind: "greets", options, greeting });
}

/** Starts one of TLS 1.2 that changes its certificate within each session; its port on 127.0.0.1. */
export function startRenegotiatingChild(certificates: {
  readonly first: Pair;
  readonly second: Pair;
}): Promise<number> {
  return start({ id: ++ids, kind: "renegotiates", ...certificates });
}

let ids = 0;
/** One process for all servers, since starting it takes longer than most tests with it. */
let child: ChildProcessByStdio<Writable, Readable, null> | undefined;
const waiting = new Map<number, (port: number) => void>();

function start(asked: Asked): Promise<number> {
  onTestFinished(() => tell({ id: asked.id, kind: "end" }));
  return new Promise((resolve) => {
    waiting.set(asked.id, resolve);
    tell(asked);
  });
}

function tell(asked: Asked): void {
  child ??= startProcess();
  child.stdin.write(`${JSON.stringify(asked)}\n`);
}

/** Starts the process, which does not keep this one alive, and ends after it. */
function startProcess(): ChildProcessByStdio<Writable, Readable, null> {
  const [command] = runtimes[0]?.command ?? ["node"];
  const started = spawn(command, ["-e", program], { stdio: ["pipe", "pipe", "ignore"] });
  createInterface(started.stdout).on("line", (line) => {
    const { id, port }: { id: number; port: number } = JSON.parse(line);
    waiting.get(id)?.(port);
    waiting.delete(id);
  });
  started.unref();
  return started;
}
