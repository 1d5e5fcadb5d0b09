/** A server that sends one text after the other, the first one unsolicited, and then nothing. */
import { once } from "node:events";
import net from "node:net";

/** Starts the server on a free port of 127.0.0.1. */
export async function scripted(texts: readonly string[]): Promise<{ port: number } & AsyncDisposable> {
  const sockets = new Set<net.Socket>();
  const server = net.createServer((socket) => {
    const [first = "", ...rest] = texts;
    sockets.add(socket);
    socket.on("error", () => {});
    socket.on("data", () => void socket.write(rest.shift() ?? ""));
    socket.write(first);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  return {
    port: typeof address === "object" && address !== null ? address.port : 0,
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}
