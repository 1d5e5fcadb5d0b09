/** How TLS is to be set up: checked before the connection is made. */
import type { TlsOptions } from "../byte-stream.ts";
import { tlsUpgrade } from "../client/implicit-tls.ts";
import type { Upgrade } from "../client/open.ts";
import { asciiHostName } from "../core/a-label.ts";
import { checkArgument, wrongType } from "../core/bytes.ts";
import { checkObject } from "./options.ts";

/**
 * The upgrade to implicit TLS, if that is what is to be; the options for STARTTLS are checked only, before anything is
 * connected.
 * @throws as `tlsOptions` does
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
 * The options, checked, with the name that the server's certificate must bear.
 * @throws {TypeError} naming the option; also if there is no name, as on a Unix socket
 * @throws {RangeError} if a value is none of those allowed
 */
export function tlsOptions(tls: unknown, argument: string, host: string): TlsOptions & { servername: string } {
  const options: TlsOptions = checkTlsOptions(tls, argument);
  const servername = options.servername ?? host;
  if (servername !== "") return { ...options, servername: asciiHostName(servername, `${argument}.servername`) };
  throw new TypeError(`${argument}.servername is needed: a Unix socket has no name that a certificate could bear`);
}

/**
 * The options, checked.
 * @throws as `tlsOptions` does
 */
export function checkTlsOptions(tls: unknown, argument: string): TlsOptions {
  const options: TlsOptions = { ...checkObject(tls, argument) };
  for (const [name, value] of Object.entries(options)) {
    if (value !== undefined) checkOption(name, value, argument);
  }
  if ((options.cert === undefined) === (options.key === undefined)) return options;
  throw new TypeError(`${argument}.cert and ${argument}.key go together`);
}

function checkOption(name: string, value: unknown, argument: string): void {
  const path = `${argument}.${name}`;
  switch (name) {
    case "servername":
      asciiHostName(checkArgument(value, path), path);
      return;
    case "cert":
    case "key":
      return checkStrings([value], path);
    case "ca":
    case "fingerprint256":
      return checkStrings(Array.isArray(value) ? value : [value], path);
    case "rejectUnauthorized":
      if (typeof value !== "boolean") throw wrongType(path, "a boolean", value);
      return;
    case "minVersion":
      if (value === "TLSv1.2" || value === "TLSv1.3") return;
      throw new RangeError(`${path} must be "TLSv1.2" or "TLSv1.3", not ${JSON.stringify(value)}`);
    default:
      throw new TypeError(`${argument} has no option ${JSON.stringify(name)}`);
  }
}

function checkStrings(values: readonly unknown[], argument: string): void {
  for (const value of values) if (typeof value !== "string") throw wrongType(argument, "a string", value);
}
