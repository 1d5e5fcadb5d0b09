/**
 * A port that answers no attempt to connect until it is told to: its backlog is full, as that of an overloaded server.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import net from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { onTestFinished } from "vitest";
import { runtimes } from "../support/runtimes.ts";

/** A listening port whose backlog is full. */
export type DeafServer = {
  readonly port: number;
  /** Accepts waiting and later connections, and greets: the system tries again one second after the first attempt. */
  listen(): void;
};

/** Listens with a backlog of one, and accepts nothing, since the process is stopped. */
const program = `
const server = require("node:net").createServer((socket) => {
  socket.on("error", () => {});
  socket.end("220 slow\\r\\n");
});
server.listen({ port: 0, host: process.argv[1], backlog: 1 }, () => {
  console.log(server.address().port);
  process.kill(process.pid, "SIGSTOP");
});
`;

/** Starts a server on an address of the loopback network; it ends with the test. */
export async function deafServer(host: string): Promise<DeafServer> {
  // Always on Node: only its process certainly accepts nothing while it is stopped.
  const [command] = runtimes[0]?.command ?? ["node"];
  const child = spawn(command, ["-e", program, host], { stdio: ["ignore", "pipe", "inherit"] });
  // Deno's `child.kill` sends only one signal.
  const signal = (name: "SIGCONT" | "SIGKILL"): void => void (child.pid && process.kill(child.pid, name));
  const fillers: net.Socket[] = [];
  onTestFinished(() => {
    for (const socket of fillers) socket.destroy();
    signal("SIGKILL");
  });
  const [text] = await once(child.stdout, "data");
  const port = Number(text);
  // The system accepts one more than the backlog.
  for (let taken = true; taken; ) {
    const socket = net.connect(port, host);
    socket.on("error", () => {});
    fillers.push(socket);
    taken = await Promise.race([once(socket, "connect").then(() => true), sleep(150, false)]);
  }
  return { port, listen: () => signal("SIGCONT") };
}
