/** TLS over a connection of Deno: by `Deno.startTls` if that supports all the options, and otherwise by `layerTls`. */
import type { TlsInfo, TlsOptions } from "../../src/byte-stream.ts";
import type { TlsError } from "../../src/errors.ts";
import type { DenoConnection, DenoRuntime } from "../deno-socket.ts";
import { makeTlsError, tlsError } from "./errors.ts";
import { type CheckedTlsOptions, checkTlsOptions, refuseCipherOptions } from "./options.ts";

export { layerTls } from "./layer.ts";

declare const Deno: Pick<DenoRuntime, "startTls">;

/**
 * Upgrades by `Deno.startTls`, and passes `adopt` the connection that replaces the other one.
 * Returns `undefined`, without any effect, if Deno's own TLS does not support the options.
 *
 * @throws TlsError if the handshake or the verification fails
 * @throws TypeError for invalid options
 */
export async function upgrade(
  connection: DenoConnection,
  options: TlsOptions & { servername: string },
  adopt: (connection: DenoConnection) => void,
): Promise<TlsInfo | undefined> {
  const checked = checkTlsOptions(options);
  refuseCipherOptions("Deno", checked);
  if (connection.remoteAddr.hostname === undefined || !isNative(checked)) return undefined;
  try {
    const secure = await Deno.startTls(connection, { hostname: checked.servername });
    adopt(secure);
    await secure.handshake();
  } catch (error) {
    throw tlsError(error, checked);
  }
  return {
    verified: true,
    protocol: undefined,
    cipher: undefined,
    fingerprint256: undefined,
    group: undefined,
    exporter: undefined,
  };
}

/** The error if the peer ended the connection before the handshake. */
export function closedBefore(options: TlsOptions & { servername: string }, cause: unknown): TlsError {
  return makeTlsError("closed", checkTlsOptions(options), cause);
}

/** Whether `Deno.startTls` supports all of the options. */
function isNative({ ca, cert, rejectUnauthorized, pins, minVersion }: CheckedTlsOptions): boolean {
  return ca === undefined && cert === undefined && rejectUnauthorized && pins === undefined && minVersion === "TLSv1.2";
}
