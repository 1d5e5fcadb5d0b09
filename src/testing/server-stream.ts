/** The server's end of a connection, as the test server takes it: in memory, or a socket of the caller's. */
import type { ByteStream } from "../byte-stream.ts";

/** A connected stream that a test server speaks on. */
export type ServerStream = Pick<ByteStream, "read" | "write" | "close" | "abort"> & {
  /**
   * Goes over to TLS as the server, once the reply to STARTTLS is written. Left out: the client's transport pretends it.
   *
   * @throws where the handshake fails; the session is over then
   */
  startTls?(): Promise<void>;
};
