/**
 * TLS by `node:tls` over any byte stream: for streams without TLS of their own, for options that a runtime's own TLS
 * lacks, and for TLS within TLS. Works on Node, Deno and Bun, over any implementation of the stream.
 */
import type { ByteStream, TlsOptions } from "../../src/byte-stream.ts";
import { builtin, type NodeDuplex } from "../node-builtins.ts";
import { type Carrier, SocketStream } from "../node-socket.ts";
import { notTls } from "./errors.ts";
import { beginHandshake, isTlsRecord } from "./handshake.ts";
import { checkTlsOptions } from "./options.ts";
import type { PlainStream } from "./upgradable.ts";

/**
 * Performs a client's handshake over `inner` and returns the encrypted stream; both end together.
 * No read of `inner` may be pending, and nothing else may use it from then on.
 *
 * @throws TlsError if the handshake or the verification fails; `inner` is aborted then
 * @throws TypeError for invalid options
 */
export async function layerTls(inner: PlainStream, options: TlsOptions & { servername: string }): Promise<ByteStream> {
  const carrier = new InnerStream(inner, options);
  try {
    const { socket, done } = beginHandshake(carrier.duplex, options);
    // The TLSSockets of Deno and Bun keep reading from a Duplex while they are paused.
    socket.on("pause", () => carrier.duplex.pause());
    socket.on("resume", () => carrier.duplex.resume());
    return new SocketStream(socket, { ...inner.peer, tls: await done }, { carrier });
  } catch (error) {
    inner.abort(error);
    carrier.duplex.destroy();
    throw error;
  }
}

/** Closes and aborts the inner stream: the end of the duplex above it must not interrupt a close. */
class InnerStream implements Carrier {
  /** "closing" after the first call of `close`. */
  state: "open" | "closing" | "closed" = "open";
  readonly duplex: NodeDuplex;
  readonly #inner: PlainStream;

  constructor(inner: PlainStream, options: TlsOptions & { servername: string }) {
    this.#inner = inner;
    this.duplex = duplexOver(inner, this, options);
  }

  async close(): Promise<void> {
    this.state = "closing";
    await this.#inner.close();
    this.state = "closed";
  }

  abort(reason: unknown): void {
    if (this.state !== "closed") this.#inner.abort(reason);
  }

  ref(): void {
    this.#inner.ref?.();
  }

  unref(): void {
    this.#inner.unref?.();
  }
}

/** A `Duplex` over a stream: reads on demand only, and writes one chunk after the other. */
function duplexOver(
  inner: PlainStream,
  carrier: InnerStream,
  options: TlsOptions & { servername: string },
): NodeDuplex {
  const { Duplex } = builtin("node:stream");
  let first = true;
  let failedWrite: Error | undefined;

  const pull = async (): Promise<void> => {
    try {
      const chunk = await inner.read();
      if (chunk === null) {
        end(failedWrite);
        return;
      }
      if (first && !isTlsRecord(chunk)) throw notTls(chunk, checkTlsOptions(options));
      first = first && chunk.length === 0;
      // The inner stream may reuse the memory at its next read, while the duplex may hold the chunk longer.
      duplex.push(new Uint8Array(chunk));
    } catch (error) {
      end(failedWrite ?? asError(error));
    }
  };
  const end = (error: Error | undefined) => {
    if (error === undefined) duplex.push(null);
    else duplex.destroy(error);
  };
  // After a failed write, reads for a while what the peer sent before, and then reports the failure.
  const writeFailed = (error: unknown) => {
    failedWrite = asError(error);
    builtin("node:timers")
      .setTimeout(() => duplex.destroy(failedWrite), lastReadTimeout)
      .unref();
  };
  const duplex = new Duplex({
    allowHalfOpen: true,
    readableHighWaterMark: 1,
    read: () => void pull(),
    write: (chunk, _encoding, done) => {
      if (failedWrite !== undefined) return;
      const blocked = inner.write(chunk);
      if (blocked === undefined) done();
      else blocked.then(() => done(), writeFailed);
    },
    final: (done) => done(),
    destroy: (error, done) => {
      if (carrier.state === "open") carrier.abort(error ?? undefined);
      done(error);
    },
  });
  return duplex;
}

/** The time to read bytes that the peer sent before a failed write, in milliseconds. */
const lastReadTimeout = 500;

function asError(reason: unknown): Error {
  return reason instanceof Error ? reason : new Error(String(reason), { cause: reason });
}
