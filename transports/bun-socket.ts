/** The parts of Bun's sockets that its transport uses. Not @types/bun's: a user's compiler need not have those. */
import type { BunTlsFault, BunTlsOptions, BunTlsSession } from "./tls/bun.ts";

type Bound = { socket: BunHandlers };

/** The functions that a socket calls. */
export type BunHandlers = {
  binaryType: "uint8array";
  open(socket: BunSocket): void;
  data(socket: BunSocket, chunk: Uint8Array): void;
  drain(socket: BunSocket): void;
  end(socket: BunSocket): void;
  close(socket: BunSocket, error?: Error): void;
  error(socket: BunSocket, error: Error): void;
  handshake(socket: BunSocket, success: boolean, fault: BunTlsFault | null): void;
};

/** A connected socket. */
export type BunSocket = BunTlsSession & {
  readonly remoteAddress: string | undefined;
  readonly localAddress: string | undefined;
  /** Returns how many bytes the system accepted; none while its buffer is full, -1 if the connection is lost. */
  write(data: Uint8Array): number;
  /** Sends FIN, and close_notify before it under TLS; reading continues. */
  shutdown(): void;
  /** Closes both directions; the system still sends what it accepted. */
  end(): void;
  /** Closes with RST; unsent bytes are lost. */
  terminate(): void;
  pause(): void;
  resume(): void;
  ref(): void;
  unref(): void;
  upgradeTLS(options: Bound & { tls: BunTlsOptions }): [raw: BunSocket, tls: BunSocket];
  /** Replaces the handlers. */
  reload(options: Bound): void;
};
