/** SOCKS5 (RFC 1928, 1929) and SOCKS4a, as functions from transport to transport. */
import type { Transport } from "../byte-stream.ts";
import type { ProxyHandshake } from "./handshake.ts";
import * as socks4 from "./socks4.ts";
import * as socks5 from "./socks5.ts";
import { checkProxy, checkSecret, checkTarget, type ProxyAddress, type Target } from "./target.ts";
import { openTunnel } from "./tunnel.ts";

/** The endpoint of a SOCKS proxy (by default port 1080, or a Unix socket), and its options. */
export type SocksOptions = ProxyAddress & {
  /** 5, the default, or "4a". */
  version?: 5 | "4a" | undefined;
  /** The user name: with a password for SOCKS5 (RFC 1929), alone for SOCKS4a. SOCKS sends both without encryption. */
  user?: string | undefined;
  /** The password that goes with it. */
  password?: string | undefined;
};

/**
 * A transport that goes through a SOCKS proxy, which also resolves the names of hosts.
 *
 * The server behind a proxy is never treated as local: passwords need TLS, wherever the proxy is.
 *
 * @param via how to connect to the proxy, for example through another proxy. Default: the runtime's own transport
 * @throws TypeError or RangeError at once for invalid options; connecting throws a `ProxyError` if the proxy cannot be
 * reached or refuses, and a `TypeError` for Unix sockets
 * @example
 * ```ts
 * import { socks } from "smtplib/proxy";
 *
 * const transport = socks({ host: "127.0.0.1", port: 9050 });
 * const smtp = new SMTP("mail.example.com", 587, { transport });
 * ```
 */
export function socks(options: SocksOptions, via?: Transport | undefined): Transport {
  const { version = 5, user, password } = options;
  if (version !== 5 && version !== "4a") throw new TypeError('version must be 5 or "4a"');
  const proxy = checkProxy(options, 1080);
  const negotiate = version === 5 ? overSocks5(user, password) : overSocks4(user, password);
  return async (endpoint, connecting) => {
    const target = checkTarget(endpoint);
    const request = negotiate(target);
    return openTunnel({ kind: `SOCKS${version}`, proxy, via, tls: undefined, negotiate: request }, connecting);
  };
}

/** Makes the request for a target; throws before anything is sent. */
type Negotiation = (target: Target) => (handshake: ProxyHandshake) => Promise<void>;

function overSocks5(user: string | undefined, password: string | undefined): Negotiation {
  if ((user === undefined) !== (password === undefined))
    throw new TypeError("user and password go together: one is missing");
  const credentials =
    user === undefined ? undefined : { user: checkSecret(user, "user"), password: checkSecret(password, "password") };
  const login = credentials === undefined ? undefined : socks5.passwordRequest(credentials);
  return (target) => {
    const connect = socks5.connectRequest(target);
    return async (handshake) => {
      await handshake.send(socks5.greeting(credentials));
      const method = await handshake.receive((bytes) => socks5.parseMethod(bytes, credentials));
      if (method === "password" && login !== undefined) {
        await handshake.send(login);
        await handshake.receive(socks5.parsePasswordReply);
      }
      await handshake.send(connect);
      await handshake.receive(socks5.parseConnectReply);
    };
  };
}

function overSocks4(user: string | undefined, password: string | undefined): Negotiation {
  if (password !== undefined) throw new TypeError("SOCKS4a knows no password");
  const name = user === undefined ? "" : checkSecret(user, "user");
  return (target) => {
    const connect = socks4.connectRequest(target, name);
    return async (handshake) => {
      await handshake.send(connect);
      await handshake.receive(socks4.parseConnectReply);
    };
  };
}
