/**
 * TLS by `node:tls` over any stream of bytes: for streams that have no TLS of their own, for options that a runtime's
 * own TLS lacks, and for TLS within TLS. Works on Node, Deno and Bun, and knows nothing of what is underneath.
 */
import type { ByteStream, TlsOptions } from "../src/byte-stream.ts";
import { builtin, type NodeDuplex } from "./node-builtins.ts";
import { type Carrier, SocketStream } from "./node-socket.ts";
import { notTls } from "./tls-errors.ts";
import { beginHandshake, isTlsRecord } from "./tls-handshake.ts";
import { checkTlsOptions } from "./tls-options.ts";
import type { PlainStream } from "./upgradable.ts";

/**
 * Does a client's handshake over `inner` and gives the stream within; both end together.
 * No read of `inner` may be pending, and nobody else may use it from then on.
 *
 * @throws TlsError where the handshake or the verification fails; `inner` is aborted then.
 * @throws TypeError for options that cannot be meant.
 */
export async function layerTls(inner: PlainStream, options: TlsOptions & { servername: string }): Promise<ByteStream> {
  const carrier = new InnerStream(inner, options);
  try {
    const { socket, done } = beginHandshake(carrier.duplex, options);
    // Deno's and Bun's TLSSocket read on over a Duplex although they are paused.
    socket.on("pause", () => carrier.duplex.pause());
    socket.on("resume", () => carrier.duplex.resume());
    return new SocketStream(socket, { ...inner.peer, tls: await done }, { carrier });
  } catch (error) {
    inner.abort(error);
    carrier.duplex.destroy();
    throw error;
  }
}

/** Closes and aborts a stream: the end of the duplex above it must not cut a close short. */
class InnerStream implements Carrier {
  /** "closing" from the first `close` on. */
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

/** A `Duplex` on a stream: pulls only as much as is asked for, and writes one piece after the other. */
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
      // The view is the inner stream's again at its next read, while the duplex may hold it longer.
      duplex.push(new Uint8Array(chunk));
    } catch (error) {
      end(failedWrite ?? asError(error));
    }
  };
  const end = (error: Error | undefined) => {
    if (error === undefined) duplex.push(null);
    else duplex.destroy(error);
  };
  // After a failed write comes what the peer said before: it is read, for a while, before the failure is told.
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

/** How long the peer's last words may take after a failed write: milliseconds. */
const lastReadTimeout = 500;

function asError(reason: unknown): Error {
  return reason instanceof Error ? reason : new Error(String(reason), { cause: reason });
}
