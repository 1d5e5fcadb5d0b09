/** Observes the client's end of a connection: reports all bytes to the judge, and counts what is left open. */
import type { ByteStream, PeerInfo, TlsOptions } from "../../src/index.ts";
import type { Circumstances } from "../judge/transcript.ts";
import { WireJudge } from "../judge/wire-judge.ts";

const decoder = new TextDecoder();

/** A watched stream of the client. */
export class TappedStream implements ByteStream {
  readonly judge: WireJudge;
  /** The number of bytes that the client has written. */
  written = 0;
  /** The number of pending reads. */
  reads = 0;
  /** How the client ended the connection. */
  over: "closed" | "dropped" | undefined;
  readonly #stream: ByteStream;
  readonly #note: (what: string) => void;

  constructor(stream: ByteStream, circumstances: Circumstances, note: (what: string) => void) {
    this.#stream = stream;
    this.judge = new WireJudge(circumstances);
    this.#note = note;
  }

  get peer(): PeerInfo {
    return this.#stream.peer;
  }

  async read(): Promise<Uint8Array | null> {
    this.judge.take({ kind: "settled" });
    this.reads++;
    try {
      const bytes = await this.#stream.read();
      this.judge.take(bytes === null ? { kind: "lost" } : { kind: "read", bytes: bytes.slice() });
      return bytes;
    } finally {
      this.reads--;
    }
  }

  write(data: Uint8Array): Promise<void> | undefined {
    this.judge.take({ kind: "write", bytes: data.slice() });
    this.written += data.length;
    this.#note(`write ${decoder.decode(data)}`);
    return this.#stream.write(data);
  }

  startTls(options: TlsOptions & { servername: string }): Promise<void> {
    return this.#stream.startTls(options);
  }

  close(): Promise<void> {
    this.judge.take({ kind: "closed" });
    this.#ended("closed");
    return this.#stream.close();
  }

  abort(reason?: unknown): void {
    this.judge.take({ kind: "dropped" });
    this.#ended("dropped");
    this.#stream.abort(reason);
  }

  #ended(how: "closed" | "dropped"): void {
    if (this.over === undefined) this.#note(how);
    this.over ??= how;
  }
}
