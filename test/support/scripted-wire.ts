/** The scripted server's side of a connection: a socket, TLS over one, or a stream in memory. */
import { once } from "node:events";
import net from "node:net";
import tls from "node:tls";
import type { ByteStream } from "../../src/byte-stream.ts";
import type { MemoryStream } from "../../transports/memory.ts";
import type { Pair } from "./certificates.ts";

/** How the client ended a connection. */
export type Ending = "fin" | "reset";

/** A connection as the server sees it. It reads only on request, so that the client feels back-pressure. */
export interface Wire {
  /** The next bytes, or how the client ended the connection. */
  read(): Promise<Uint8Array | Ending>;
  /** Writes, and waits while the client does not read; errors of a client that has disconnected are ignored. */
  write(octets: Uint8Array): Promise<void>;
  /** Ends only the server's side. */
  halfClose(): void;
  /** Drops the connection with RST. */
  reset(): void;
  /** Releases the connection when the client has disconnected. */
  destroy(): void;
}

/** The server's side of a socket. */
export function socketWire(socket: net.Socket): Wire {
  const queue: (Uint8Array | Ending)[] = [];
  let waiting: ((next: Uint8Array | Ending) => void) | undefined;
  const put = (item: Uint8Array | Ending): void => {
    const reader = waiting;
    waiting = undefined;
    if (reader === undefined) queue.push(item);
    else reader(item);
  };
  socket.pause();
  socket.setNoDelay(true);
  socket.on("data", (chunk: Buffer) => {
    socket.pause();
    // Bun takes a hundred times as long for Uint8Array.from().
    put(new Uint8Array(chunk));
  });
  socket.on("error", () => {});
  socket.once("end", () => put("fin"));
  socket.once("close", () => put("reset"));
  return {
    read() {
      const [next] = queue;
      if (next !== undefined) {
        if (typeof next !== "string") queue.shift();
        return Promise.resolve(next);
      }
      return new Promise((resolve) => {
        waiting = resolve;
        socket.resume();
      });
    },
    async write(octets) {
      if (!socket.writable || socket.write(octets) || socket.closed) return;
      await new Promise<void>((resolve) => {
        socket.once("drain", resolve);
        socket.once("close", () => resolve());
      });
    },
    halfClose: () => void socket.end(),
    reset: () => void socket.resetAndDestroy(),
    destroy: () => void socket.destroy(),
  };
}

/** The server's side of a pair in memory. */
export function memoryWire(stream: MemoryStream): Wire {
  let ending: Ending | undefined;
  return {
    async read() {
      if (ending !== undefined) return ending;
      try {
        const octets = await stream.read();
        if (octets !== null) return octets.slice();
        ending = "fin";
      } catch {
        ending = "reset";
      }
      return ending;
    },
    write: async (octets) => stream.write(octets)?.catch(() => {}),
    halfClose: () => stream.end(),
    reset: () => stream.abort(new Error("reset by the script")),
    destroy: () => void stream.close().catch(() => {}),
  };
}

/** A client's stream like another one, except for these members. */
export function wrapped(whole: ByteStream, parts: Partial<ByteStream>): ByteStream {
  return {
    read: () => whole.read(),
    write: (data) => whole.write(data),
    startTls: (options) => whole.startTls(options),
    close: () => whole.close(),
    abort: (reason) => whole.abort(reason),
    peer: whole.peer,
    ...parts,
  };
}

/**
 * Continues with TLS, as after STARTTLS. The TLS server is a separate one on another connection, since not all runtimes
 * can upgrade the server's side in place. Returns undefined if the handshake fails.
 */
export async function acceptTls(clear: Wire, pair: Pair, options: tls.TlsOptions = {}): Promise<Wire | undefined> {
  const inner = tls.createServer({ ...pair, ...options });
  inner.listen(0, "127.0.0.1");
  await once(inner, "listening");
  const address = inner.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  const upstream = net.connect(port, "127.0.0.1");
  const secured = new Promise<tls.TLSSocket | undefined>((resolve) => {
    inner.once("secureConnection", resolve);
    inner.once("tlsClientError", (_, failed) => {
      failed.destroy();
      resolve(undefined);
    });
    upstream.once("close", () => resolve(undefined));
  });
  upstream.on("error", () => {});
  upstream.on("data", (chunk: Buffer) => void clear.write(new Uint8Array(chunk)));
  for (const event of ["end", "close"]) upstream.once(event, () => clear.halfClose());
  const pumping = pump(clear, upstream);
  const socket = await secured;
  inner.close();
  if (socket === undefined) {
    await pumping;
    upstream.destroy();
    clear.destroy();
    return undefined;
  }
  const secure = socketWire(socket);
  return {
    ...secure,
    reset: () => clear.reset(),
    destroy: () => {
      secure.destroy();
      upstream.destroy();
      clear.destroy();
    },
  };
}

async function pump(clear: Wire, upstream: net.Socket): Promise<void> {
  for (;;) {
    const octets = await clear.read();
    if (octets === "fin") return void upstream.end();
    if (octets === "reset") return void upstream.destroy();
    upstream.write(octets);
  }
}
