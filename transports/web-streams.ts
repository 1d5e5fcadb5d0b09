/** A transport over any pair of WHATWG streams: of a runtime without sockets, of WebTransport, of a test. */
import type { ByteStream, ConnectOptions, Endpoint, PeerInfo, Transport } from "../src/byte-stream.ts";
import { type StreamPair, WebStream } from "./stream-pair.ts";
import { upgradable } from "./tls/upgradable.ts";
import { noop, raceAbort } from "./util.ts";

export type { StreamPair, StreamReader, StreamWriter } from "./stream-pair.ts";

/** A pair of streams, and the known properties of the peer. */
export type ConnectedPair = StreamPair & {
  /** Default: nothing is known, and the peer counts as remote. Set `tls` for a pair that encrypts. */
  readonly peer?: Partial<PeerInfo> | undefined;
};

/**
 * Returns a transport whose connections are pairs of streams that `open` makes.
 *
 * TLS runs over the pair by `node:tls`, loaded when needed: it requires Node, Deno or Bun.
 *
 * @param open - connects, unencrypted; it should heed `options.signal`. A pair that arrives after an abort is dropped
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
    const drop = (reason: unknown): void => void opening.then((late) => streamOf(late).abort(reason)).catch(noop);
    return streamOf(await raceAbort(opening, signal, drop));
  };
}

/**
 * Returns a connected pair of streams as a `ByteStream`, and locks both.
 *
 * @throws TypeError if one of them is already locked
 */
export function streamOf({ readable, writable, peer }: ConnectedPair): ByteStream {
  return upgradable(new WebStream({ readable, writable }, { ...unknownPeer, ...peer }));
}

const unknownPeer: PeerInfo = { remoteAddress: undefined, localAddress: undefined, loopback: false, tls: undefined };
