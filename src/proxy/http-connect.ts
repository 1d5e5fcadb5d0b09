/** HTTP's CONNECT (RFC 9110 9.3.6), as a function from transport to transport. */
import type { TlsOptions, Transport } from "../byte-stream.ts";
import { asciiHostName } from "../core/a-label.ts";
import { checkTlsMembers } from "../core/tls-options.ts";
import { connectRequest, parseConnectReply } from "./http.ts";
import { checkProxy, checkSecret, checkTarget, type ProxyAddress } from "./target.ts";
import { openTunnel } from "./tunnel.ts";

/** The endpoint of an HTTP proxy (a host and port, or a Unix socket), and its options. */
export type HttpConnectOptions = ProxyAddress & {
  /**
   * The user name for Basic authentication (RFC 7617); goes with `password`. Sent without encryption unless `tls` is
   * set.
   */
  user?: string | undefined;
  /** The password that goes with it. */
  password?: string | undefined;
  /** TLS to the proxy, verified by default; `{}` for the defaults. Left out: no TLS. */
  tls?: TlsOptions | undefined;
};

/**
 * A transport that goes through an HTTP proxy by CONNECT; the proxy also resolves the names of hosts.
 *
 * With `tls` the connection to the proxy uses TLS, and the TLS session with the mail server runs within it.
 * The server behind a proxy is never treated as local: passwords need TLS, wherever the proxy is.
 *
 * @param via how to connect to the proxy, for example through another proxy. Default: the runtime's own transport
 * @throws TypeError or RangeError at once for invalid options; connecting throws a `ProxyError` if the proxy cannot be
 * reached or refuses, a `TlsError` if TLS to it fails, and a `TypeError` for Unix sockets
 * @example
 * ```ts
 * import { httpConnect } from "smtplib/proxy";
 *
 * const transport = httpConnect({ host: "proxy.example.com", port: 3128, tls: {}, user: "ada", password: "secret" });
 * const smtp = new SMTP("mail.example.com", 587, { transport });
 * ```
 */
export function httpConnect(options: HttpConnectOptions, via?: Transport | undefined): Transport {
  const { user, password, tls } = options;
  const proxy = checkProxy(options);
  const credentials = checkCredentials(user, password);
  const secured = tls === undefined ? undefined : checkTls(tls, "path" in proxy ? undefined : proxy.host);
  return async (endpoint, connecting) => {
    const request = connectRequest(checkTarget(endpoint), credentials);
    const negotiate: Parameters<typeof openTunnel>[0]["negotiate"] = async (handshake) => {
      await handshake.send(request);
      while (!(await handshake.receive(parseConnectReply)));
    };
    return openTunnel({ kind: "HTTP", proxy, via, tls: secured, negotiate }, connecting);
  };
}

function checkCredentials(user: unknown, password: unknown) {
  if ((user === undefined) !== (password === undefined))
    throw new TypeError("user and password go together: one is missing");
  if (user === undefined) return undefined;
  const credentials = { user: checkSecret(user, "user"), password: checkSecret(password, "password") };
  if (credentials.user.includes(":")) throw new RangeError("user must not hold a colon: it ends the name (RFC 7617 2)");
  return credentials;
}

function checkTls(tls: TlsOptions, host: string | undefined): TlsOptions & { servername: string } {
  if (typeof tls !== "object" || tls === null) throw new TypeError("tls must be an object of TLS options");
  const options: TlsOptions = { ...tls };
  checkTlsMembers(options, "tls");
  const servername = options.servername ?? host;
  if (servername === undefined) throw new TypeError("tls needs a servername for a proxy on a Unix socket");
  return { ...options, servername: asciiHostName(servername, "tls.servername") };
}
