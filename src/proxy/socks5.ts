/** The messages of SOCKS5 (RFC 1928) with user and password (RFC 1929): requests to bytes, bytes to replies; no I/O. */
import { concat, utf8 } from "../core/bytes.ts";
import type { Parsed } from "./handshake.ts";
import { ProxyError } from "./proxy-error.ts";
import type { Target } from "./target.ts";

/** A user name and password for the proxy. */
export type Credentials = { readonly user: string; readonly password: string };

/** The authentication methods (RFC 1928 3). */
export type Method = "none" | "password";

/** The methods that the client offers, with or without credentials (RFC 1928 3). */
export function greeting(credentials: Credentials | undefined): Uint8Array {
  return credentials === undefined ? Uint8Array.of(5, 1, 0) : Uint8Array.of(5, 2, 0, 2);
}

/** The proxy's choice among the offered methods. */
export function parseMethod(bytes: Uint8Array, credentials: Credentials | undefined): Parsed<Method> {
  const [version, method] = bytes;
  checkVersion(version, 5);
  if (method === undefined) return undefined;
  if (method === 0) return { value: "none", length: 2 };
  if (method === 2 && credentials !== undefined) return { value: "password", length: 2 };
  if (method !== 0xff)
    throw new ProxyError(`chose a method of authentication that was not offered: ${method}`, { permanent: true });
  throw new ProxyError(
    credentials === undefined
      ? "refuses to serve without authentication; give it user and password"
      : "accepts neither user and password nor no authentication",
    { code: method, permanent: true },
  );
}

/**
 * The request of RFC 1929 2.
 *
 * @throws RangeError for a user name or password that is too long
 */
export function passwordRequest({ user, password }: Credentials): Uint8Array {
  const [name, secret] = [utf8(user), utf8(password)];
  if (name.length < 1 || name.length > 255) throw new RangeError("user must have 1 to 255 octets for SOCKS5");
  if (secret.length > 255) throw new RangeError("password must have no more than 255 octets for SOCKS5");
  return concat([Uint8Array.of(1, name.length), name, Uint8Array.of(secret.length), secret]);
}

/** Whether the password was right. */
export function parsePasswordReply(bytes: Uint8Array): Parsed<true> {
  const [version, status] = bytes;
  checkVersion(version, 1);
  if (status === undefined) return undefined;
  if (status !== 0)
    throw new ProxyError(`refused user and password (status ${status})`, { code: status, permanent: true });
  return { value: true, length: 2 };
}

/** CONNECT (RFC 1928 4); names are sent as names, for the proxy to resolve. */
export function connectRequest({ kind, octets, port }: Target): Uint8Array {
  const address = { name: [3, octets.length], IPv4: [1], IPv6: [4] }[kind];
  return concat([Uint8Array.of(5, 1, 0, ...address), octets, Uint8Array.of(port >> 8, port & 0xff)]);
}

/** The proxy's answer to CONNECT (RFC 1928 6); a refusal counts as soon as its code has arrived. */
export function parseConnectReply(bytes: Uint8Array): Parsed<true> {
  const [version, code, , type, first] = bytes;
  checkVersion(version, 5);
  if (code === undefined) return undefined;
  if (code !== 0) {
    const reason = REFUSALS[code] ?? "unknown reason";
    throw new ProxyError(`refused to connect: ${reason} (${code})`, { code, permanent: LASTING.has(code) });
  }
  if (type === undefined) return undefined;
  // The address that the proxy bound is not used, but its bytes have to be skipped.
  const address = type === 1 ? 4 : type === 4 ? 16 : type === 3 ? lengthOfName(first) : undefined;
  if (address === undefined)
    throw new ProxyError(`answered with an address of unknown type ${type}`, { permanent: true });
  const length = 4 + address + 2;
  return bytes.length < length ? undefined : { value: true, length };
}

const REFUSALS: readonly (string | undefined)[] = [
  undefined,
  "general failure of the proxy",
  "not allowed by its rules",
  "network unreachable",
  "host unreachable",
  "connection refused by the server",
  "the time to live ran out",
  "it does not know the command",
  "it does not know that type of address",
];

/** Refusals of the request itself; the others concern the present state of the network or the proxy. */
const LASTING: ReadonlySet<number> = new Set([2, 7, 8]);

function lengthOfName(first: number | undefined): number {
  return first === undefined ? Number.POSITIVE_INFINITY : 1 + first;
}

function checkVersion(version: number | undefined, expected: number): void {
  if (version === undefined || version === expected) return;
  throw new ProxyError(`does not speak SOCKS5: its answer begins with ${version} in place of ${expected}`, {
    permanent: true,
  });
}
