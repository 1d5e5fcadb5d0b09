/** The parts of Deno's sockets that its transport uses. Not Deno's own types: a user's compiler need not have those. */

/** A connected socket. */
export type DenoConnection = {
  readonly remoteAddr: { transport: string; hostname?: string };
  readonly localAddr: { transport: string; hostname?: string };
  read(into: Uint8Array): Promise<number | null>;
  write(data: Uint8Array): Promise<number>;
  closeWrite(): Promise<void>;
  close(): void;
  ref(): void;
  unref(): void;
};

/** A socket of TCP. */
export type DenoTcpConnection = DenoConnection & { setNoDelay(on: boolean): void };

/** A socket after `Deno.startTls`. */
export type DenoTlsConnection = DenoConnection & {
  /** Rejects if the server fails the verification, which `startTls` does not wait for. */
  handshake(): Promise<unknown>;
};

/** The functions of `Deno`. */
export type DenoRuntime = {
  connect(options: { hostname: string; port: number; signal?: AbortSignal }): Promise<DenoTcpConnection>;
  connect(options: { transport: "unix"; path: string }): Promise<DenoConnection>;
  /** Takes the connection over, even if it fails. */
  startTls(connection: DenoConnection, options: { hostname: string }): Promise<DenoTlsConnection>;
};
