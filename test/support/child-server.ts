/** Servers by Node in a process of their own: what the TLS of other runtimes, or of this Node, would not do. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import type { TlsOptions } from "node:tls";
import { onTestFinished } from "vitest";
import { runtimes } from "../packaging/runtimes.ts";

/** Reads the options, says its port; greets whoever comes over TLS with the argument. */
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

/** Starts a TLS server that ends with the test; its port on 127.0.0.1. Options are those that JSON has room for. */
export async function startTlsChild(options: TlsOptions, greeting = "hello"): Promise<number> {
  const [command] = runtimes[0]?.command ?? ["node"];
  const child = spawn(command, ["-e", program, greeting], { stdio: ["pipe", "pipe", "ignore"] });
  onTestFinished(() => void child.kill("SIGKILL"));
  child.stdin.write(JSON.stringify(options));
  const [port] = await once(child.stdout, "data");
  return Number(port);
}
