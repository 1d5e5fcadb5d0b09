/**
 * Deno's sockets on Node, so that Deno's transport can be run and debugged there. @deno/shim-deno has the types, but
 * its connections cannot be read (Node's socket consumes the bytes for which it looks at the descriptor), and it has
 * neither Unix sockets nor `startTls`.
 */
import { once } from "node:events";
import net from "node:net";
import tls from "node:tls";
import type {
  DenoConnection,
  DenoRuntime,
  DenoTcpConnection,
  DenoTlsConnection,
} from "../../transports/deno-socket.ts";

/** Replaces the global `Deno`. */
export const denoOnNode: DenoRuntime = {
  async connect(options: { hostname: string; port: number; signal?: AbortSignal } | { path: string }) {
    const to = "path" in options ? { path: options.path } : { host: options.hostname, port: options.port };
    const socket = net.connect({ ...to, allowHalfOpen: true });
    const { signal } = "path" in options ? {} : options;
    await once(socket, "connect", signal === undefined ? {} : { signal }).catch((error) => {
      socket.destroy();
      throw error;
    });
    return new NodeConnection(socket, "path" in options ? "unix" : "tcp");
  },

  async startTls(connection: DenoConnection, { hostname }: { hostname: string }) {
    if (!(connection instanceof NodeConnection)) throw new TypeError("no connection of Deno's on Node");
    const servername = net.isIP(hostname) === 0 ? { servername: hostname } : {};
    return new NodeConnection(tls.connect({ socket: connection.socket, host: hostname, ...servername }), "tcp");
  },
};

class NodeConnection implements DenoTcpConnection, DenoTlsConnection {
  readonly socket: net.Socket;
  readonly remoteAddr: { transport: string; hostname?: string };
  readonly localAddr: { transport: string; hostname?: string };
  readonly #secure: Promise<unknown>;
  #rest: Uint8Array | undefined;
  #error: Error | undefined;

  constructor(socket: net.Socket, transport: "tcp" | "unix") {
    this.socket = socket;
    this.remoteAddr = { transport, ...(socket.remoteAddress !== undefined && { hostname: socket.remoteAddress }) };
    this.localAddr = { transport, ...(socket.localAddress !== undefined && { hostname: socket.localAddress }) };
    this.#secure = socket instanceof tls.TLSSocket ? once(socket, "secureConnect") : Promise.resolve();
    this.#secure.catch(() => {});
    socket.on("error", (error) => {
      this.#error = error;
    });
  }

  async read(into: Uint8Array): Promise<number | null> {
    const chunk = this.#rest ?? (await this.#next());
    if (chunk === null) return null;
    const length = Math.min(chunk.length, into.length);
    into.set(chunk.subarray(0, length));
    this.#rest = length < chunk.length ? chunk.subarray(length) : undefined;
    return length;
  }

  write(data: Uint8Array): Promise<number> {
    return new Promise((resolve, reject) => {
      this.socket.write(data, (error) => (error ? reject(error) : resolve(data.length)));
    });
  }

  closeWrite(): Promise<void> {
    return new Promise((resolve) => this.socket.end(resolve));
  }

  handshake(): Promise<unknown> {
    return this.#secure;
  }

  close(): void {
    this.socket.destroy();
  }

  ref(): void {
    this.socket.ref();
  }

  unref(): void {
    this.socket.unref();
  }

  setNoDelay(on: boolean): void {
    this.socket.setNoDelay(on);
  }

  async #next(): Promise<Uint8Array | null> {
    for (;;) {
      const chunk: Uint8Array | null = this.socket.read();
      if (chunk !== null) return chunk;
      if (this.#error !== undefined) throw this.#error;
      if (this.socket.readableEnded) return null;
      if (this.socket.destroyed) throw new Error("the connection is closed");
      await Promise.race(["readable", "end", "close"].map((event) => once(this.socket, event).catch(() => {})));
    }
  }
}
