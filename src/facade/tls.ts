/** The TLS options, checked before the connection is made. */
import type { TlsOptions } from "../byte-stream.ts";
import { tlsUpgrade } from "../client/implicit-tls.ts";
import type { Upgrade } from "../client/open.ts";
import { asciiHostName } from "../core/a-label.ts";
import { checkTlsMembers } from "../core/tls-options.ts";
import { checkObject } from "./options.ts";

/**
 * The upgrade to implicit TLS, if configured; for STARTTLS, only checks the options, before connecting.
 * @throws the errors of `tlsOptions`
 */
export function implicitTls(
  tls: "starttls" | "implicit",
  context: TlsOptions | undefined,
  host: string,
): Upgrade | undefined {
  const checked = checkTlsOptions(context ?? {}, "context");
  return tls === "implicit" ? tlsUpgrade(tlsOptions(checked, "context", host)) : undefined;
}

/**
 * Checks the options, and adds the name that the server's certificate must contain.
 * @throws {TypeError} naming the option; also if there is no name, as on a Unix socket
 * @throws {RangeError} if a value is not allowed
 */
export function tlsOptions(tls: unknown, argument: string, host: string): TlsOptions & { servername: string } {
  const options: TlsOptions = checkTlsOptions(tls, argument);
  const servername = options.servername ?? host;
  if (servername !== "") return { ...options, servername: asciiHostName(servername, `${argument}.servername`) };
  throw new TypeError(`${argument}.servername is needed: a Unix socket has no name that a certificate could bear`);
}

/**
 * Checks the options.
 * @throws the errors of `tlsOptions`
 */
export function checkTlsOptions(tls: unknown, argument: string): TlsOptions {
  const options: TlsOptions = { ...checkObject(tls, argument) };
  checkTlsMembers(options, argument);
  return options;
}
