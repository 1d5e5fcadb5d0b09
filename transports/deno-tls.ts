/** TLS over a connection of Deno's: by `Deno.startTls` where that does all that is asked for; `layerTls` does the rest. */
import type { TlsInfo, TlsOptions } from "../src/byte-stream.ts";
import type { TlsError } from "../src/errors.ts";
import { makeTlsError, tlsError } from "./tls-errors.ts";
import { type CheckedTlsOptions, checkTlsOptions } from "./tls-options.ts";

export { layerTls } from "./tls-layer.ts";

/** What is used of a connection of Deno's. */
export type DenoConnection = {
  readonly remoteAddr: { hostname?: string };
  readonly localAddr: { hostname?: string };
  read(into: Uint8Array): Promise<number | null>;
  write(data: Uint8Array): Promise<number>;
  closeWrite(): Promise<void>;
  close(): void;
  ref(): void;
  unref(): void;
};

type TlsConnection = DenoConnection & {
  /** Rejects where the server is not the one asked for; `startTls` itself does not know yet. */
  handshake(): Promise<unknown>;
};

declare const Deno: {
  /** Takes the connection over, even where it fails. */
  startTls(connection: DenoConnection, options: { hostname: string }): Promise<TlsConnection>;
};

/**
 * Upgrades by `Deno.startTls`, and hands `adopt` the connection that takes the other one's place.
 * Undefined, and nothing has happened, where Deno's own TLS lacks what is asked for.
 *
 * @throws TlsError where the handshake or the verification fails.
 * @throws TypeError for options that cannot be meant.
 */
export async function upgrade(
  connection: DenoConnection,
  options: TlsOptions & { servername: string },
  adopt: (connection: DenoConnection) => void,
): Promise<TlsInfo | undefined> {
  const checked = checkTlsOptions(options);
  if (connection.remoteAddr.hostname === undefined || !isNative(checked)) return undefined;
  try {
    const secure = await Deno.startTls(connection, { hostname: checked.servername });
    adopt(secure);
    await secure.handshake();
  } catch (error) {
    throw tlsError(error, checked);
  }
  return { verified: true, protocol: undefined, cipher: undefined, fingerprint256: undefined, exporter: undefined };
}

/** The error where the peer has ended the connection before the handshake. */
export function closedBefore(options: TlsOptions & { servername: string }, cause: unknown): TlsError {
  return makeTlsError("closed", checkTlsOptions(options), cause);
}

/** Whether `Deno.startTls` can do what is asked for, and all of it. */
function isNative({ ca, cert, rejectUnauthorized, pins, minVersion }: CheckedTlsOptions): boolean {
  return ca === undefined && cert === undefined && rejectUnauthorized && pins === undefined && minVersion === "TLSv1.2";
}
