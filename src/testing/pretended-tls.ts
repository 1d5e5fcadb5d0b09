/** Simulated TLS: STARTTLS succeeds without encryption, since nothing leaves the process. */
import type { ByteStream, PeerInfo, TlsInfo, TlsOptions } from "../byte-stream.ts";

/** The description of the simulated TLS session for the client. */
const pretended: TlsInfo = {
  protocol: "TLSv1.3",
  cipher: undefined,
  verified: true,
  fingerprint256: undefined,
  group: undefined,
  exporter: undefined,
};

/** The client's end of a stream, whose `startTls` succeeds at once unless `accept` rejects. */
export function pretendingTls(
  stream: ByteStream,
  accept: (options: TlsOptions & { servername: string }) => Promise<void>,
  about: { readonly loopback: boolean },
): ByteStream {
  let tls: TlsInfo | undefined;
  return {
    read: () => stream.read(),
    write: (data) => stream.write(data),
    startTls: async (options) => {
      if (tls !== undefined) throw new Error("the stream speaks TLS already");
      await accept(options);
      tls = pretended;
    },
    close: () => stream.close(),
    abort: (reason) => stream.abort(reason),
    get peer(): PeerInfo {
      return { ...stream.peer, ...about, tls };
    },
  };
}
