/** The client's end of a connection in memory, observed by the judge of the wire. */
import type { ByteStream, PeerInfo } from "../../src/index.ts";
import type { MemoryStream } from "../../transports/memory.ts";
import { WireJudge } from "../judge/wire-judge.ts";

/** Receives all bytes and events of a stream. */
export type StreamWatcher = {
  readonly protocol: "smtp" | "lmtp";
  readonly eager: boolean;
  wrote(bytes: Uint8Array): void;
  read(bytes: Uint8Array | null): void;
  /** Runs work that sets the transport's own timers. */
  asTransport<T>(work: () => T): T;
  /** Called when the client has ended the connection, in order or not. */
  ended(how: "closed" | "dropped"): void;
};

/** A stream that reports everything to a watcher and to the judge. */
export class ClientStream implements ByteStream {
  readonly judge: WireJudge;
  /** True while it keeps the process alive. */
  held = true;
  readonly #stream: MemoryStream;
  readonly #watcher: StreamWatcher;

  constructor(stream: MemoryStream, watcher: StreamWatcher) {
    const { protocol, eager } = watcher;
    this.#stream = stream;
    this.#watcher = watcher;
    this.judge = new WireJudge({ protocol, clearTextAllowed: true, eager });
  }

  get peer(): PeerInfo {
    return this.#stream.peer;
  }

  async read(): Promise<Uint8Array | null> {
    this.judge.take({ kind: "settled" });
    const bytes = await this.#stream.read();
    this.judge.take(bytes === null ? { kind: "lost" } : { kind: "read", bytes });
    this.#watcher.read(bytes);
    return bytes;
  }

  write(data: Uint8Array): Promise<void> | undefined {
    this.judge.take({ kind: "write", bytes: data });
    this.#watcher.wrote(data);
    // A copy: the client may use its memory again.
    return this.#stream.write(data.slice());
  }

  startTls(): Promise<void> {
    return Promise.reject(new Error("the scenarios have no TLS"));
  }

  close(): Promise<void> {
    this.judge.take({ kind: "closed" });
    this.#watcher.ended("closed");
    return this.#watcher.asTransport(() => this.#stream.close());
  }

  abort(reason?: unknown): void {
    this.judge.take({ kind: "dropped" });
    this.#watcher.ended("dropped");
    this.#stream.abort(reason);
  }

  ref(): void {
    this.held = true;
  }

  unref(): void {
    this.held = false;
  }
}
