/** Connection URLs, as nodemailer and lettre have them: `smtp://user:password@host:587`, `smtps://…`, `lmtp://…`. */
import type { PoolOptions } from "./options.ts";

/** Scheme -> what it stands for. */
const SCHEMES: { readonly [scheme: string]: PoolOptions } = {
  "smtp:": {},
  "smtps:": { secure: true },
  "lmtp:": { protocol: "lmtp" },
};

/** Parameters whose value is a number. */
const NUMBERS = ["timeout", "maxConnections", "maxMessages", "idleTimeout", "maxLifetime", "maxQueue"] as const;

/**
 * The options that a URL stands for. Credentials are percent-encoded. The path is the name for EHLO, as in lettre, or without a host that of a
 * Unix socket. Parameters: `starttls`, which may be called `tls`, `name` (for EHLO), and the options that are numbers.
 * @throws {TypeError} if it is no such URL; the credentials in it are not shown
 * @throws {RangeError} for a parameter that does not exist
 */
export function optionsOfUrl(text: string): PoolOptions {
  const url = parse(text);
  const scheme = SCHEMES[url.protocol];
  if (scheme === undefined) {
    throw new TypeError(`a connection URL begins with smtp:, smtps: or lmtp:, not ${JSON.stringify(url.protocol)}`);
  }
  const options: PoolOptions = { ...scheme, ...whereTo(url) };
  if (url.port !== "") options.port = Number(url.port);
  if (url.username !== "") options.auth = { user: decoded(url.username), password: decoded(url.password) };
  for (const [name, value] of url.searchParams) setParameter(options, name, value);
  return options;
}

function parse(text: string): URL {
  try {
    return new URL(text);
  } catch {
    // The runtime's own error shows the URL, and so the password.
    throw new TypeError("the connection URL cannot be parsed: are the user and the password percent-encoded?");
  }
}

function whereTo({ hostname, pathname }: URL): PoolOptions {
  const [host, path] = [decoded(hostname), decoded(pathname)];
  if (host === "") return { host: path };
  return path.length > 1 ? { host, local_hostname: path.slice(1) } : { host };
}

function setParameter(options: PoolOptions, name: string, value: string): void {
  const number = NUMBERS.find((one) => one === name);
  if (number !== undefined) options[number] = Number(value === "" ? Number.NaN : value);
  else if (name === "name") options.local_hostname = value;
  else if ((name === "tls" || name === "starttls") && isPolicy(value)) options.starttls = value;
  else throw new RangeError(`the connection URL has an unknown parameter, or one with a wrong value: ${name}`);
}

function isPolicy(value: string): value is NonNullable<PoolOptions["starttls"]> {
  return value === "required" || value === "opportunistic" || value === "never";
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new TypeError("the connection URL has a part that is not percent-encoded as it has to be");
  }
}
