/**
 * TLS by `node:tls` over any stream of bytes: for streams that have no TLS of their own, for options that a runtime's
 * own TLS lacks, and for TLS within TLS. Works on Node, Deno and Bun, and knows nothing of what is underneath.
 */
import type { ByteStream, PeerInfo, TlsOptions } from "../src/byte-stream.ts";
import { builtin, type NodeDuplex } from "./node-builtins.ts";
import { type Carrier, SocketStream } from "./node-socket.ts";
import { makeTlsError } from "./tls-errors.ts";
import { checkTlsOptions } from "./tls-options.ts";

/** What TLS can be laid over. */
export type PlainStream = Omit<ByteStream, "startTls">;

/**
 * Does a client's handshake over `inner` and gives the stream within; both end together.
 * No read of `inner` may be pending, and nobody else may use it from then on.
 *
 * @throws TlsError where the handshake or the verification fails; `inner` is aborted then.
 * @throws TypeError for options that cannot be meant.
 */
export async function layerTls(inner: PlainStream, options: TlsOptions & { servername: string }): Promise<ByteStream> {
  const carrier = new InnerStream(inner);
  const stream = new SocketStream(duplexOver(inner, carrier, options), { ...inner.peer, tls: undefined }, carrier);
  await stream.startTls(options);
  return stream;
}

/**
 * Gives a stream its `startTls`, which lays TLS over it in place.
 *
 * `unread` says how many octets have been received that nobody has read, where the stream can tell.
 */
export function upgradable(plain: PlainStream & { readonly unread?: number }): ByteStream {
  return new UpgradableStream(plain);
}

class UpgradableStream implements ByteStream {
  readonly #plain: PlainStream & { readonly unread?: number };
  #current: PlainStream;
  #reading = false;
  #state: "clear" | "handshake" | "secure" = "clear";
  #dropped: { reason: unknown } | undefined;

  constructor(plain: PlainStream & { readonly unread?: number }) {
    this.#plain = plain;
    this.#current = plain;
  }

  get peer(): PeerInfo {
    return this.#current.peer;
  }

  read(): Promise<Uint8Array | null> {
    if (this.#state === "secure") return this.#current.read();
    if (this.#dropped !== undefined) return Promise.reject(this.#dropped.reason);
    if (this.#state === "handshake") return Promise.reject(new Error("the TLS handshake is under way"));
    if (this.#reading) return Promise.reject(new Error("a read is already pending"));
    this.#reading = true;
    return this.#plain.read().finally(() => {
      this.#reading = false;
    });
  }

  write(data: Uint8Array): Promise<void> | undefined {
    if (this.#state === "secure") return this.#current.write(data);
    if (this.#dropped !== undefined) return Promise.reject(this.#dropped.reason);
    if (this.#state === "handshake") return Promise.reject(new Error("the TLS handshake is under way"));
    return this.#plain.write(data);
  }

  async startTls(options: TlsOptions & { servername: string }): Promise<void> {
    try {
      if (this.#dropped !== undefined) throw this.#dropped.reason;
      checkTlsOptions(options);
      if (this.#state !== "clear") throw new Error("the stream speaks TLS already");
      if (this.#reading) throw new Error("TLS cannot begin while a read is pending");
      if ((this.#plain.unread ?? 0) > 0) throw new Error("TLS cannot begin: bytes that came in clear are unread");
      this.#state = "handshake";
      this.#current = await layerTls(this.#plain, options);
      this.#state = "secure";
    } catch (error) {
      this.abort(error);
      throw this.#dropped?.reason ?? error;
    }
  }

  close(): Promise<void> {
    if (this.#state === "handshake") this.abort(new Error("the stream was closed during the TLS handshake"));
    return this.#current.close();
  }

  abort(reason: unknown = new Error("the connection was aborted")): void {
    this.#dropped ??= { reason };
    this.#current.abort(reason);
  }
}

/** Closes and aborts a stream: the end of the duplex above it must not cut a close short. */
class InnerStream implements Carrier {
  /** "closing" from the first `close` on. */
  state: "open" | "closing" | "closed" = "open";
  readonly #inner: PlainStream;

  constructor(inner: PlainStream) {
    this.#inner = inner;
  }

  async close(): Promise<void> {
    this.state = "closing";
    await this.#inner.close();
    this.state = "closed";
  }

  abort(reason: unknown): void {
    if (this.state !== "closed") this.#inner.abort(reason);
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
      if (first && !isTlsRecord(chunk)) throw notTls(chunk, options);
      first = first && chunk.length === 0;
      // The view is the inner stream's again at its next read, while the duplex may hold it longer.
      duplex.push(Uint8Array.from(chunk));
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

/** The content types of RFC 8446 5.1. */
function isTlsRecord(chunk: Uint8Array): boolean {
  const [type] = chunk;
  return type === undefined || (type >= 20 && type <= 23);
}

function notTls(chunk: Uint8Array, options: TlsOptions & { servername: string }): Error {
  const said = new TextDecoder("latin1").decode(chunk.subarray(0, 80));
  return makeTlsError("not-tls", checkTlsOptions(options), new Error(`it said "${said.trimEnd()}"`));
}

function asError(reason: unknown): Error {
  return reason instanceof Error ? reason : new Error(String(reason), { cause: reason });
}
