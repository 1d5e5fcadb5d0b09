/** The messages of SOCKS4 with the extension 4a, by which the proxy resolves names; no I/O. */
import { concat, utf8 } from "../core/bytes.ts";
import type { Parsed } from "./handshake.ts";
import { ProxyError } from "./proxy-error.ts";
import type { Target } from "./target.ts";

/**
 * CONNECT; a name follows the invalid address 0.0.0.1.
 *
 * @throws RangeError for an IPv6 address, which SOCKS4 does not support
 */
export function connectRequest({ kind, host, octets, port }: Target, user: string): Uint8Array {
  if (kind === "IPv6") throw new RangeError(`SOCKS4a knows no IPv6 addresses: ${JSON.stringify(host)}`);
  const end = Uint8Array.of(0);
  const address = kind === "IPv4" ? octets : Uint8Array.of(0, 0, 0, 1);
  const head = [Uint8Array.of(4, 1, port >> 8, port & 0xff), address, utf8(user), end];
  return concat(kind === "IPv4" ? head : [...head, octets, end]);
}

/** The proxy's answer: eight bytes, the second of which is the code; a refusal counts as soon as it has arrived. */
export function parseConnectReply(bytes: Uint8Array): Parsed<true> {
  const [version, code] = bytes;
  if (version !== undefined && version !== 0) {
    throw new ProxyError(`does not speak SOCKS4: its answer begins with ${version} in place of 0`, { permanent: true });
  }
  if (code === undefined) return undefined;
  if (code !== 90)
    throw new ProxyError(`refused to connect: ${REFUSALS[code] ?? "unknown reason"} (${code})`, {
      code,
      // 91 may mean that the server cannot be reached now.
      permanent: code === 92 || code === 93,
    });
  return bytes.length < 8 ? undefined : { value: true, length: 8 };
}

const REFUSALS: Readonly<Record<number, string>> = {
  91: "rejected or failed",
  92: "it cannot find out who we are (identd)",
  93: "identd and the request name different users",
};
