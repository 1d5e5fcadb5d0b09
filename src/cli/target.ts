/** Parses the name of a server: HOST, HOST:PORT, a connection URL, or the path of a Unix socket. */
import type { Endpoint } from "../index.ts";
import { UsageError } from "./exit-codes.ts";

/** How a connection is encrypted. */
export type TlsMode = "implicit" | "required" | "opportunistic" | "never";

/** The parts of a server's name; those that are not given are undefined. */
export type Target = {
  readonly protocol: "smtp" | "lmtp" | undefined;
  readonly host: string;
  readonly port: number | undefined;
  /** The path of a Unix socket, in place of host and port. */
  readonly path: string | undefined;
  readonly tls: TlsMode | undefined;
  readonly user: string | undefined;
  readonly password: string | undefined;
  /** The name for EHLO. */
  readonly helo: string | undefined;
};

const NOTHING: Target = {
  protocol: undefined,
  host: "",
  port: undefined,
  path: undefined,
  tls: undefined,
  user: undefined,
  password: undefined,
  helo: undefined,
};

/** Scheme, credentials, host, port, path, parameters (RFC 3986). */
const URL_PARTS =
  /^([a-z]+):\/\/(?:([^@/?#]*)@)?(\[[^\]@/?#]+\]|[^:@/?#]*)(?::(\d{1,5}))?(\/[^@:?#]*)?(?:\?([^@#]*))?$/i;

const SCHEMES: Readonly<Record<string, Partial<Target>>> = {
  smtp: { protocol: "smtp" },
  smtps: { protocol: "smtp", tls: "implicit" },
  lmtp: { protocol: "lmtp" },
};

/**
 * Parses the name of a server.
 * @param argument - its name in the error
 * @throws {UsageError} if it is invalid; the error does not show a URL, which may contain a password
 */
export function parseTarget(text: string, argument: string): Target {
  if (text.startsWith("/")) return { ...NOTHING, path: text };
  if (text.includes("://")) return parseUrl(text, argument);
  if (text.includes("@")) {
    throw new UsageError(argument, "must be HOST, HOST:PORT or a URL that begins with smtp://, smtps:// or lmtp://");
  }
  const [, host = "", port] = /^(\[[\da-f:.]+(?:%[\w.-]+)?\]|[^:\s/]+)(?::(\d{1,5}))?$/iu.exec(text) ?? [];
  if (host !== "") return { ...NOTHING, host: withoutBrackets(host), port: portOf(port, argument) };
  if (/^[\da-f:.]+$/i.test(text) && text.includes("::")) return { ...NOTHING, host: text };
  throw new UsageError(argument, `is neither HOST, HOST:PORT nor [ADDRESS]:PORT: ${JSON.stringify(text)}`);
}

/** The endpoint of a target, with the default port of its protocol and TLS. */
export function endpointOf({ path, host, port, protocol, tls }: Target, hasLogin: boolean): Endpoint {
  if (path !== undefined) return { path };
  if (port !== undefined) return { host, port };
  if (protocol === "lmtp") return { host, port: 2003 };
  if (tls === "implicit") return { host, port: 465 };
  return { host, port: hasLogin ? 587 : 25 };
}

/** The URL of a server for display: "smtp://mail.example.com:587", without credentials. */
export function shownTarget(protocol: "smtp" | "lmtp", endpoint: Endpoint, implicit: boolean): string {
  if ("path" in endpoint) return `${protocol}://${endpoint.path}`;
  const host = endpoint.host.includes(":") ? `[${endpoint.host}]` : endpoint.host;
  return `${implicit ? "smtps" : protocol}://${host}:${endpoint.port}`;
}

function parseUrl(text: string, argument: string): Target {
  const [whole, scheme = "", credentials, host = "", port, path = "", query = ""] = URL_PARTS.exec(text) ?? [];
  const meaning = Object.hasOwn(SCHEMES, scheme.toLowerCase()) ? SCHEMES[scheme.toLowerCase()] : undefined;
  if (whole === undefined || meaning === undefined) {
    const encoded = 'user and password percent-encoded ("@" is %40, ":" %3A, "/" %2F, "?" %3F, "#" %23, "%" %25)';
    throw new UsageError(argument, `must be smtp://, smtps:// or lmtp:// with a host, ${encoded}`);
  }
  const isSocket = host === "" && path.length > 1;
  if (host === "" && !isSocket) throw new UsageError(argument, "names no host");
  const helo = isSocket || path.length < 2 ? undefined : decoded(path.slice(1), argument);
  return {
    ...NOTHING,
    ...meaning,
    ...credentialsOf(credentials, argument),
    host: withoutBrackets(host),
    port: portOf(port, argument),
    path: isSocket ? decoded(path, argument) : undefined,
    ...(helo === undefined ? {} : { helo }),
    ...parametersOf(query, argument),
  };
}

function credentialsOf(text: string | undefined, argument: string): Partial<Target> {
  if (text === undefined) return {};
  const [user = "", password, more] = text.split(":").map((part) => decoded(part, argument));
  if (user === "" || more !== undefined) throw new UsageError(argument, "has credentials that are not USER:PASSWORD");
  return { user, password };
}

/** The parameters of `SMTPPool`'s URLs that concern the session; the program has options for the others. */
function parametersOf(query: string, argument: string): Partial<Target> {
  const found: { tls?: TlsMode; helo?: string } = {};
  for (const [name, value] of new URLSearchParams(query)) {
    if (name === "starttls" || name === "tls") {
      if (value !== "required" && value !== "opportunistic" && value !== "never") {
        throw new UsageError(argument, `has a parameter ${name} that is not required, opportunistic or never`);
      }
      found.tls = value;
    } else if (name === "name") found.helo = value;
    else throw new UsageError(argument, `has a parameter that is an option here: ${JSON.stringify(name)}`);
  }
  return found;
}

function decoded(text: string, argument: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new UsageError(argument, "is not percent-encoded");
  }
}

function portOf(text: string | undefined, argument: string): number | undefined {
  if (text === undefined) return undefined;
  const port = Number(text);
  if (port >= 1 && port <= 65_535) return port;
  throw new UsageError(argument, `has no port from 1 to 65535: ${text}`);
}

function withoutBrackets(host: string): string {
  return host.replace(/^\[(.*)\]$/, "$1");
}
