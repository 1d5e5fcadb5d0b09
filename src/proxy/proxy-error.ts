/** The error of the proxies, with the proxy's own text if it sent one. */
import { escapeControls } from "../errors.ts";

/**
 * A proxy that cannot be reached, refuses, or breaks its protocol; it arrives as the `cause` of an `SMTPConnectError`.
 */
export class ProxyError extends Error {
  /** The code of the proxy's refusal: of SOCKS5 (RFC 1928 6), SOCKS4 or HTTP; undefined if it sent none. */
  readonly code: number | undefined;
  /**
   * True if trying again will not help: the proxy refuses the credentials or the request itself, speaks another
   * protocol, or has a name that does not exist. False if the proxy, or the server behind it, may be reachable later.
   */
  readonly permanent: boolean;

  constructor(
    message: string,
    options: { code?: number | undefined; permanent?: boolean | undefined; cause?: unknown } = {},
  ) {
    super(escapeControls(message), options.cause === undefined ? undefined : { cause: options.cause });
    this.code = options.code;
    this.permanent = options.permanent ?? false;
  }
}

// A minifier would change the name of the class.
Object.defineProperty(ProxyError.prototype, "name", { value: "ProxyError", configurable: true, writable: true });
