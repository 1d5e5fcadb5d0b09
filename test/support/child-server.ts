/** Servers on Node in separate processes, for TLS settings that other runtimes, or this Node, do not support. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import type { TlsOptions } from "node:tls";
import { onTestFinished } from "vitest";
import type { Pair } from "./certificates.ts";
import { runtimes } from "./runtimes.ts";

/** Reads the options, prints its port, and sends the argument as a greeting over TLS. */
const program = `
const tls = require("node:tls");
process.stdin.once("data", (text) => {
  const server = tls.createServer(JSON.parse(text), (socket) => {
    socket.on("error", () => {});
    socket.end(process.argv[1]);
  });
  server.on("tlsClientError", () => {});
  server.listen(0, "127.0.0.1", () => console.log(server.address().port));
});
`;

/** Renegotiates as soon as the client has sent anything, with another certificate: `{ first, second }`. */
const renegotiating = `
const tls = require("node:tls");
const { SSL_OP_NO_SESSION_RESUMPTION_ON_RENEGOTIATION } = require("node:crypto").constants;
process.stdin.once("data", (text) => {
  const { first, second } = JSON.parse(text);
  const secureOptions = SSL_OP_NO_SESSION_RESUMPTION_ON_RENEGOTIATION;
  const server = tls.createServer({ ...first, secureOptions, maxVersion: "TLSv1.2" }, (socket) => {
    socket.on("error", () => {});
    socket.write("220 before\\r\\n");
    socket.once("data", () => {
      socket.setKeyCert(tls.createSecureContext(second));
      socket.renegotiate({}, () => socket.write("250 after\\r\\n"));
    });
  });
  server.on("tlsClientError", () => {});
  server.listen(0, "127.0.0.1", () => console.log(server.address().port));
});
`;

/** Starts a TLS server that ends with the test; its port on 127.0.0.1. The options must be JSON. */
export function startTlsChild(options: TlsOptions, greeting = "hello"): Promise<number> {
  return start(program, options, greeting);
}

/** Starts one of TLS 1.2 that changes its certificate within each session; its port on 127.0.0.1. */
export function startRenegotiatingChild(certificates: {
  readonly first: Pair;
  readonly second: Pair;
}): Promise<number> {
  return start(renegotiating, certificates, "");
}

async function start(program: string, options: object, argument: string): Promise<number> {
  const [command] = runtimes[0]?.command ?? ["node"];
  const child = spawn(command, ["-e", program, argument], { stdio: ["pipe", "pipe", "ignore"] });
  onTestFinished(() => void child.kill("SIGKILL"));
  child.stdin.write(JSON.stringify(options));
  const [port] = await once(child.stdout, "data");
  return Number(port);
}
