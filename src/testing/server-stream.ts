/** The server's end of a connection for the test server: in memory, or a socket of the caller. */
import type { ByteStream } from "../byte-stream.ts";

/** A connected stream for a test server. */
export type ServerStream = Pick<ByteStream, "read" | "write" | "close" | "abort"> & {
  /**
   * Upgrades to TLS as the server, once the reply to STARTTLS is written. Left out: the client's transport simulates
   * it.
   *
   * @throws if the handshake fails; the session is over then
   */
  startTls?(): Promise<void>;
};
