/** Opens a tunnel through a proxy, and returns a stream that hides the proxy. */
import type { ByteStream, ConnectOptions, Endpoint, PeerInfo, TlsOptions, Transport } from "../byte-stream.ts";
import { isPermanentCause } from "../core/connect-failure.ts";
import { TlsError } from "../errors.ts";
import { defaultTransport } from "../runtime.ts";
import { ProxyHandshake } from "./handshake.ts";
import { ProxyError } from "./proxy-error.ts";
import { shown } from "./target.ts";

/** The proxy, and how to open the tunnel. */
export type TunnelOptions = {
  /** The kind of proxy, for messages. */
  readonly kind: string;
  readonly proxy: Endpoint;
  /** How to reach the proxy; `undefined`: by the runtime's own transport. */
  readonly via: Transport | undefined;
  /** The options of TLS to the proxy; `undefined`: no TLS. */
  readonly tls: (TlsOptions & { servername: string }) | undefined;
  /** Asks the proxy to open the tunnel. */
  readonly negotiate: (handshake: ProxyHandshake) => Promise<void>;
};

/**
 * Opens the tunnel.
 *
 * @throws ProxyError, or a `TlsError` if TLS to the proxy fails; the signal's reason if it aborts
 */
export async function openTunnel(setup: TunnelOptions, options: ConnectOptions): Promise<ByteStream> {
  const { signal } = options;
  signal?.throwIfAborted();
  const stream = await reach(setup, options);
  const abort = (): void => stream.abort(signal?.reason);
  signal?.addEventListener("abort", abort, { once: true });
  try {
    signal?.throwIfAborted();
    if (setup.tls !== undefined) await stream.startTls(setup.tls);
    const handshake = new ProxyHandshake(stream);
    await setup.negotiate(handshake);
    const tunnel = new Tunnel(stream, handshake.rest);
    const through = setup.tls === undefined ? tunnel : await withOwnTls(tunnel);
    signal?.throwIfAborted();
    return through;
  } catch (error) {
    stream.abort(error);
    signal?.throwIfAborted();
    throw named(setup, "", error);
  } finally {
    signal?.removeEventListener("abort", abort);
  }
}

async function reach(setup: TunnelOptions, options: ConnectOptions): Promise<ByteStream> {
  const { proxy, via } = setup;
  const connect = via ?? (await defaultTransport({ endpoint: proxy, options }));
  try {
    return await connect(proxy, options);
  } catch (error) {
    options.signal?.throwIfAborted();
    throw named(setup, "cannot be reached: ", error);
  }
}

/** Adds to an error the proxy that it comes from. */
function named({ kind, proxy }: TunnelOptions, what: string, error: unknown): unknown {
  if (error instanceof TypeError || error instanceof RangeError) return error;
  const text = `the ${kind} proxy ${shown(proxy)}`;
  const said = error instanceof Error ? error.message : String(error);
  if (error instanceof TlsError) return new TlsError(error.failure, `TLS to ${text}: ${said}`, { cause: error });
  const details = { permanent: isPermanentCause(error), cause: error };
  if (!(error instanceof ProxyError)) return new ProxyError(`${text} ${what || "failed: "}${said}`, details);
  return new ProxyError(`${text} ${what}${said}`, { code: error.code, ...details });
}

/** TLS within the TLS to the proxy, which no runtime supports natively. */
async function withOwnTls(tunnel: Tunnel): Promise<ByteStream> {
  const { upgradable } = await import("../../transports/tls/upgradable.ts");
  return upgradable(tunnel);
}

/** A stream through a proxy. Its peer is unknown except for its TLS, and never local. */
class Tunnel implements ByteStream {
  readonly #stream: ByteStream;
  /** The bytes after the proxy's answer. */
  #rest: Uint8Array;
  #secured = false;

  constructor(stream: ByteStream, rest: Uint8Array) {
    this.#stream = stream;
    this.#rest = rest;
  }

  get peer(): PeerInfo {
    const tls = this.#secured ? this.#stream.peer.tls : undefined;
    return { remoteAddress: undefined, localAddress: undefined, loopback: false, tls };
  }

  get unread(): number {
    return this.#rest.length;
  }

  read(): Promise<Uint8Array | null> {
    if (this.#rest.length === 0) return this.#stream.read();
    return Promise.resolve(this.#takeRest());
  }

  write(data: Uint8Array): Promise<void> | undefined {
    return this.#stream.write(data);
  }

  async startTls(options: TlsOptions & { servername: string }): Promise<void> {
    if (this.#rest.length > 0) {
      const error = new Error("bytes in clear are unread");
      this.abort(error);
      throw error;
    }
    await this.#stream.startTls(options);
    this.#secured = true;
  }

  close(): Promise<void> {
    this.#takeRest();
    return this.#stream.close();
  }

  abort(reason?: unknown): void {
    this.#takeRest();
    this.#stream.abort(reason);
  }

  ref(): void {
    this.#stream.ref?.();
  }

  unref(): void {
    this.#stream.unref?.();
  }

  #takeRest(): Uint8Array {
    const rest = this.#rest;
    this.#rest = new Uint8Array(0);
    return rest;
  }
}
