/** `--proxy URL`: a transport through the proxy that the URL names. */
import type { Transport } from "../index.ts";
import { httpConnect, socks } from "../proxy/index.ts";
import { UsageError } from "./exit-codes.ts";

/**
 * A transport through a proxy.
 * @throws {UsageError} for an invalid URL; the error does not show it, since it may contain a password
 */
export function proxyTransport(text: string): Transport {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const { protocol, hostname = "", port = "", username = "", password = "" } = url ?? {};
  const user = decoded(username);
  if (user === "" && password !== "") throw new UsageError("--proxy", "has a password and no user");
  const account = user === "" ? {} : { user, password: decoded(password) };
  const at = { host: hostname.replace(/^\[|\]$/g, ""), ...(port === "" ? {} : { port: Number(port) }) };
  if (at.host === "") throw new UsageError("--proxy", "must be a URL with a host, as in socks5h://127.0.0.1:1080");
  try {
    switch (protocol) {
      case "socks5:":
      case "socks5h:":
        return socks({ ...at, ...account });
      case "socks4a:":
        return socks({ ...at, version: "4a", ...(user === "" ? {} : { user }), ...(password === "" ? {} : account) });
      case "http:":
        return httpConnect({ port: 80, ...at, ...account });
      case "https:":
        return httpConnect({ port: 443, ...at, ...account, tls: {} });
      default:
        throw new UsageError("--proxy", "must begin with socks5h://, socks4a://, http:// or https://");
    }
  } catch (error) {
    // The errors of the proxies name the fault, and show neither user nor password.
    if (error instanceof TypeError || error instanceof RangeError) throw new UsageError("--proxy", error.message);
    throw error;
  }
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new UsageError("--proxy", "has a user or password that is not percent-encoded");
  }
}
