/** The server's end of a socket as a stream for the test server; STARTTLS replaces the socket by a TLS socket. */
import type { Socket } from "node:net";
import tls from "node:tls";
import type { ServerStream } from "../../testing/index.ts";

/** Seconds that a handshake may take. */
const HANDSHAKE = 30;

/** A connected socket of a server. It reads only on request, so that the client feels back-pressure. */
export class SocketStream implements ServerStream {
  readonly #raw: Socket;
  readonly #context: tls.SecureContext | undefined;
  #socket: Socket;
  #queue: (Uint8Array | null)[] = [];
  #waiting: ((chunk: Uint8Array | null) => void) | undefined;

  /** @param context - the TLS context of STARTTLS; undefined if the socket uses TLS already, or never will */
  constructor(socket: Socket, context: tls.SecureContext | undefined) {
    this.#raw = socket;
    this.#socket = socket;
    this.#context = context;
    socket.setNoDelay(true);
    this.#listen(socket);
  }

  /** The kind of TLS, once it is established. */
  get tls(): string | undefined {
    if (!(this.#socket instanceof tls.TLSSocket)) return undefined;
    return [this.#socket.getProtocol(), this.#socket.getCipher()?.standardName].filter(Boolean).join(", ");
  }

  read(): Promise<Uint8Array | null> {
    const [next] = this.#queue;
    if (next !== undefined) {
      if (next !== null) this.#queue.shift();
      return Promise.resolve(next);
    }
    return new Promise((resolve) => {
      this.#waiting = resolve;
      this.#socket.resume();
    });
  }

  write(data: Uint8Array): Promise<void> | undefined {
    if (!this.#socket.writable) return undefined;
    if (this.#socket.write(data)) return undefined;
    const socket = this.#socket;
    return new Promise((resolve) => {
      socket.once("drain", resolve);
      socket.once("close", () => resolve());
    });
  }

  async startTls(): Promise<void> {
    if (this.#context === undefined) throw new Error("there is no certificate");
    this.#raw.removeAllListeners("data");
    const secure = new tls.TLSSocket(this.#raw, { isServer: true, secureContext: this.#context });
    this.#queue = [];
    this.#socket = secure;
    secure.on("error", () => {});
    await secured(secure);
    this.#listen(secure);
  }

  close(): Promise<void> {
    const socket = this.#socket;
    return new Promise((resolve) => {
      if (socket.destroyed) return resolve();
      socket.once("close", () => resolve());
      socket.end();
      // Reads the rest, so that the close is noticed.
      socket.resume();
      setTimeout(() => socket.destroy(), 2_000).unref();
    });
  }

  abort(): void {
    if (this.#raw.destroyed) return;
    this.#raw.resetAndDestroy();
    this.#socket.destroy();
    this.#put(null);
  }

  #listen(socket: Socket): void {
    socket.pause();
    socket.on("data", (chunk: Uint8Array) => {
      socket.pause();
      this.#put(new Uint8Array(chunk));
    });
    socket.on("error", () => {});
    socket.once("end", () => this.#put(null));
    socket.once("close", () => this.#put(null));
  }

  #put(chunk: Uint8Array | null): void {
    const reader = this.#waiting;
    this.#waiting = undefined;
    if (reader === undefined) this.#queue.push(chunk);
    else if (chunk === null) {
      this.#queue.push(null);
      reader(null);
    } else reader(chunk);
  }
}

function secured(socket: tls.TLSSocket): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => socket.destroy(new Error("no handshake came")), HANDSHAKE * 1000);
    timer.unref();
    socket.once("secure", () => {
      clearTimeout(timer);
      resolve();
    });
    socket.once("error", reject);
    socket.once("close", () => reject(new Error("the connection was lost during the handshake")));
  });
}
