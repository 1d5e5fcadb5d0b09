/** A transport on any pair of WHATWG streams: of a runtime without sockets of its own, of WebTransport, of a test. */
import type { ByteStream, ConnectOptions, Endpoint, PeerInfo, Transport } from "../src/byte-stream.ts";
import { ignore, orAborted } from "./native-sockets.ts";
import { upgradable } from "./upgradable.ts";
import { type StreamPair, WebStream } from "./web-stream.ts";

export type { StreamPair, StreamReader, StreamWriter } from "./web-stream.ts";

/** A pair of streams, and what its maker knows of the other end. */
export type ConnectedPair = StreamPair & {
  /** Left out: nothing is known, and the peer is not taken for this machine. `tls` is for a pair that encrypts. */
  readonly peer?: Partial<PeerInfo> | undefined;
};

/**
 * A transport whose connections are made by `open`, as pairs of streams.
 *
 * TLS is `node:tls`'s, over the pair, and loaded when it is asked for: it needs Node, Deno or Bun.
 *
 * @param open connects, in clear; it should heed `options.signal`. A pair that comes after an abort is dropped
 * @example
 * ```ts
 * import { type StreamPair, webStreams } from "smtplib/transports/web-streams";
 *
 * declare function dial(endpoint: object): Promise<StreamPair>; // a tunnel, a WebTransport, a port to a worker
 *
 * const transport = webStreams((endpoint) => dial(endpoint));
 * const smtp = new SMTP("mail.example.com", 587, { transport });
 * ```
 */
export function webStreams(
  open: (endpoint: Endpoint, options: ConnectOptions) => ConnectedPair | Promise<ConnectedPair>,
): Transport {
  return async (endpoint, options) => {
    const { signal } = options;
    signal?.throwIfAborted();
    const opening = Promise.resolve(open(endpoint, options));
    const drop = (reason: unknown): void => void opening.then((late) => streamOf(late).abort(reason)).catch(ignore);
    return streamOf(await orAborted(opening, signal, drop));
  };
}

/**
 * A connected pair of streams as a `ByteStream`; it locks both.
 *
 * @throws TypeError where one of them is locked already
 */
export function streamOf({ readable, writable, peer }: ConnectedPair): ByteStream {
  return upgradable(new WebStream({ readable, writable }, { ...unknownPeer, ...peer }));
}

const unknownPeer: PeerInfo = { remoteAddress: undefined, localAddress: undefined, loopback: false, tls: undefined };
