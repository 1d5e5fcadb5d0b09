/**
 * Connection URLs: `smtp://user:password@host:587`, `smtps://…`, `lmtp://…`. The parser is strict (RFC 3986): it must
 * not read unencoded credentials as a host, a name or a parameter. No error contains a part of a URL.
 */
import type { PoolOptions } from "./options.ts";

/** The options that each scheme implies. */
const SCHEMES: { readonly [scheme: string]: PoolOptions } = {
  smtp: {},
  smtps: { secure: true },
  lmtp: { protocol: "lmtp" },
};

/** The parameters with a numeric value. */
const NUMBERS = [
  "timeout",
  "maxConnections",
  "maxMessages",
  "idleTimeout",
  "maxLifetime",
  "reconnectFor",
  "maxQueue",
] as const;

/** Scheme, authority, path, query and fragment, each up to its terminating character (RFC 3986 appendix B). */
const URL_PARTS = /^([a-z]+):\/\/([^/?#]*)([^?#]*)(\?[^#]*)?(#.*)?$/is;

/** A host in a connection URL: a name, an IPv6 address with or without a zone, or a Unix path. */
const HOST = /^(?:\[[\da-f:.]+(?:%[\w.-]+)?\]|[\p{L}\p{M}\p{N}._-]+|\/.+)$/iu;

/** A part of every error message. */
const ENCODED = 'are user and password percent-encoded? ("@" is %40, ":" %3A, "/" %2F, "?" %3F, "#" %23, "%" %25)';

/** A number; the checks of the options refuse a fraction where a whole number is required. */
const DECIMAL = /^-?\d+(?:\.\d+)?$/;

/** A name for EHLO, or an address literal. */
const NAME = /^[\p{L}\p{M}\p{N}._-]+$|^\[[\w.:]+\]$/u;

/**
 * Parses a connection URL into options. User, password and the other parts are percent-encoded. The path is the name
 * for EHLO or, without a host, the path of a Unix socket. Parameters: `starttls` (alias `tls`), `name` (for EHLO), and
 * the numeric options.
 * @throws {TypeError} if it is no such URL, or ambiguous; the message contains no part of it
 * @throws {RangeError} naming an unknown parameter, or for an invalid value
 */
export function optionsOfUrl(text: string): PoolOptions {
  const [whole, scheme = "", authority = "", path = "", query = "", fragment] = URL_PARTS.exec(text.trim()) ?? [];
  const meaning = Object.hasOwn(SCHEMES, scheme.toLowerCase()) ? SCHEMES[scheme.toLowerCase()] : undefined;
  if (whole === undefined || meaning === undefined) {
    throw new TypeError(`a connection URL begins with smtp://, smtps:// or lmtp://; ${ENCODED}`);
  }
  const [before, after] = split(authority, "@");
  // An "@" further back means that the credentials contain an unencoded "/", "?" or "#".
  if (fragment !== undefined || /[@:]/.test(path) || query.includes("@")) throw misread();
  const options: PoolOptions = { ...meaning, ...whereTo(after ?? before, path) };
  if (after !== undefined) options.auth = credentialsOf(before);
  setParameters(options, new URLSearchParams(query));
  return options;
}

/** Splits at a separator, which must not occur twice. */
function split(text: string, separator: string): [before: string, after: string | undefined] {
  const [before = "", after, more] = text.split(separator);
  if (more !== undefined) throw misread();
  return [before, after];
}

function credentialsOf(text: string): { user: string; password: string } {
  const [user, password] = split(text, ":").map((part) => part && decoded(part));
  if (!user || !password) {
    throw new TypeError(
      `the connection URL has half of a user and a password: give both, or the option auth; ${ENCODED}`,
    );
  }
  return { user, password };
}

function whereTo(authority: string, path: string): PoolOptions {
  const [, hostText = "", portText] = /^(\[[^\]]*\]|[^:]*)(?::(\d{1,5}))?$/.exec(authority) ?? [];
  const [host, name] = [decoded(hostText), decoded(path)];
  if (host === "" && portText === undefined && authority === "" && name.length > 1) return { host: name };
  const isUnix = host.startsWith("/");
  if (!HOST.test(host) || Number(portText ?? 0) > 65_535 || (isUnix && portText !== undefined)) throw misread();
  const port = portText === undefined ? {} : { port: Number(portText) };
  if (name.length <= 1) return { host, ...port };
  if (!NAME.test(name.slice(1))) throw misread();
  return { host, ...port, local_hostname: name.slice(1) };
}

function setParameters(options: PoolOptions, parameters: URLSearchParams): void {
  const names = new Set<string>();
  for (const [name, value] of parameters) {
    const meant = name === "tls" ? "starttls" : name;
    if (names.has(meant)) throw wrongParameter(name, "twice");
    names.add(meant);
    setParameter(options, meant, value);
  }
}

function setParameter(options: PoolOptions, name: string, value: string): void {
  const number = NUMBERS.find((one) => one === name);
  if (number !== undefined && DECIMAL.test(value)) options[number] = Number(value);
  else if (number !== undefined) throw wrongParameter(name, "that is no decimal number");
  else if (name === "name" && (value === "" || NAME.test(value))) options.local_hostname = value;
  else if (name === "starttls" && isPolicy(value)) options.starttls = value;
  else throw wrongParameter(name, "which does not exist, or with a wrong value");
}

/** Shows a parameter's name only if it looks like one; otherwise it may be part of a secret. */
function wrongParameter(name: string, how: string): RangeError {
  const shown = /^[a-z_]{1,30}$/i.test(name) ? `the parameter ${name}` : "a parameter";
  return new RangeError(`the connection URL has ${shown} ${how}`);
}

function isPolicy(value: string): value is NonNullable<PoolOptions["starttls"]> {
  return value === "required" || value === "opportunistic" || value === "never";
}

/** Percent-decodes; replaces the runtime's error, which may show the text. */
function decoded(text: string): string {
  let plain: string;
  try {
    plain = decodeURIComponent(text);
  } catch {
    throw misread();
  }
  if (/[\x00-\x1f\x7f]/.test(plain)) throw misread();
  return plain;
}

function misread(): TypeError {
  return new TypeError(`the connection URL cannot be read; ${ENCODED}`);
}
