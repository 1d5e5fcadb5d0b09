/** The endpoints of a proxy and of its target, checked before a byte is written. */
import type { Endpoint } from "../byte-stream.ts";
import { asciiHostName } from "../core/a-label.ts";
import { utf8 } from "../core/bytes.ts";

/** Where a proxy listens: a host and port, or the path of a Unix socket. */
export type ProxyAddress = { host: string; port?: number | undefined } | { path: string };

/** The target that a proxy connects to; the proxy resolves names. */
export type Target = {
  readonly kind: "name" | "IPv4" | "IPv6";
  /** ASCII: a name, or an address without brackets. */
  readonly host: string;
  /** The name's characters, or the 4 or 16 bytes of the address. */
  readonly octets: Uint8Array;
  readonly port: number;
};

/**
 * Checks a target: nothing in it may end a line or a field of the request.
 *
 * @throws TypeError for a Unix socket, which is on this machine and not on the proxy
 * @throws RangeError for an invalid name or address, or an invalid port
 */
export function checkTarget(endpoint: Endpoint): Target {
  if ("path" in endpoint)
    throw new TypeError(`a proxy cannot connect to a Unix socket: ${JSON.stringify(endpoint.path)}`);
  const { host, port } = endpoint;
  return { ...resolved(checkText(host, "host")), port: checkPort(port, "port") };
}

/**
 * Checks the endpoint of a proxy.
 *
 * @throws TypeError or RangeError if it is invalid
 */
export function checkProxy(address: ProxyAddress, defaultPort?: number): Endpoint {
  // It may be a URL with a password, which the runtime's own error would show.
  if (typeof address !== "object") throw new TypeError("a proxy must be an object with host and port, or with path");
  if ("path" in address) return { path: checkText(address.path, "path") };
  return {
    host: asciiHostName(checkText(address.host, "host"), "host"),
    port: checkPort(address.port ?? defaultPort, "port"),
  };
}

/**
 * A user name or password: any text without control characters.
 *
 * @throws TypeError if it is not a string, RangeError if it contains one
 */
export function checkSecret(value: unknown, name: string): string {
  if (typeof value !== "string") throw new TypeError(`${name} must be a string`);
  // The value itself is left out: it may be a password.
  if (/[\x00-\x1f\x7f]/.test(value)) throw new RangeError(`${name} holds a control character`);
  if (/\p{Surrogate}/u.test(value)) throw new TypeError(`${name} has a lone surrogate, which cannot be encoded`);
  return value;
}

/** An endpoint for messages, IPv6 addresses in brackets. */
export function shown(endpoint: Endpoint): string {
  return "path" in endpoint ? endpoint.path : authority(endpoint.host, endpoint.port);
}

/** A host and port as in a URL (RFC 3986 3.2): IPv6 addresses in brackets. */
export function authority(host: string, port: number): string {
  return `${host.includes(":") ? `[${host}]` : host}:${port}`;
}

function checkText(value: unknown, name: string): string {
  if (typeof value !== "string") throw new TypeError(`${name} must be a string`);
  if (value === "" || /[\x00-\x20\x7f]/.test(value)) {
    throw new RangeError(`${name} must not be empty, nor hold spaces or control characters: ${JSON.stringify(value)}`);
  }
  return value;
}

function checkPort(value: unknown, name: string): number {
  if (typeof value !== "number") throw new TypeError(`${name} must be a number`);
  if (!Number.isInteger(value) || value < 1 || value > 65_535)
    throw new RangeError(`${name} must be 1 to 65535: ${value}`);
  return value;
}

function resolved(text: string): Pick<Target, "kind" | "host" | "octets"> {
  const numbers = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text)?.slice(1).map(Number);
  if (numbers?.every((number) => number < 256)) return { kind: "IPv4", host: text, octets: Uint8Array.from(numbers) };
  if (text.includes(":")) return ipv6(text);
  const host = asciiHostName(text, "host");
  if (!/^[A-Za-z0-9._-]{1,255}$/.test(host)) throw unusable(text);
  return { kind: "name", host, octets: utf8(host) };
}

function ipv6(text: string): Pick<Target, "kind" | "host" | "octets"> {
  // The URL parser normalizes every notation: groups without leading zeros, no dots.
  const url = `http://[${text}]/`;
  const host = URL.canParse(url) ? new URL(url).hostname.slice(1, -1) : undefined;
  if (host === undefined || !/^[0-9A-Fa-f:.]+$/.test(text)) throw unusable(text);
  const [left = "", right] = host.split("::");
  const groups = (half: string): string[] => (half === "" ? [] : half.split(":"));
  const before = groups(left);
  const after = right === undefined ? [] : groups(right);
  const zeros = new Array<string>(8 - before.length - after.length).fill("0");
  const octets = [...before, ...zeros, ...after].flatMap((group) => {
    const number = Number.parseInt(group, 16);
    return [number >> 8, number & 0xff];
  });
  return { kind: "IPv6", host, octets: Uint8Array.from(octets) };
}

function unusable(text: string): RangeError {
  return new RangeError(`host is neither a name nor an address: ${JSON.stringify(text)}`);
}
