/** The options of a pool, their checks and defaults. */
import type { Endpoint, TlsOptions, Transport } from "../byte-stream.ts";
import { type Credentials, singleFlight } from "../client/authenticate-with.ts";
import { Chunking } from "../client/chunking.ts";
import { checkSeconds, resolveTimeouts, type Timeouts } from "../client/deadline.ts";
import { checkArgument, wrongType } from "../core/bytes.ts";
import { checkObject, checkOptions, checkWholeNumber, parseHost, type SMTPOptions } from "../facade/options.ts";
import { tlsOptions } from "../facade/tls.ts";
import { chooseMechanisms, passwordMechanisms } from "../sasl/choose.ts";
import { checkCredential } from "../sasl/credential.ts";
import type { AuthorizingCredentials, Mechanism } from "../sasl/mechanism.ts";
import { checkToken as checkBearer, type TokenCredentials } from "../sasl/oauth.ts";
import type { Rate } from "./rate-limit.ts";
import { NEVER } from "./timer.ts";
import { optionsOfUrl } from "./url.ts";

/**
 * The credentials of the pool. A token may be a function: the pool calls it for each login, once for all connections
 * that log in together, and again if the server reports that the token has expired. It runs in the `AsyncLocalStorage`
 * context of a message that needs the connection. A `Mechanism` contains its own credentials.
 */
export type PoolAuth =
  | (AuthorizingCredentials & {
      /** The mechanisms to try, in this order; see `login()`. */
      readonly mechanisms?: readonly string[] | undefined;
    })
  | TokenCredentials
  | Mechanism;

/** The checked credentials and mechanisms. */
export type Login = { readonly credentials: Credentials; readonly mechanisms: readonly string[] | undefined };

/** Options of a pool: those of `SMTP`, and its own. */
export type PoolOptions = SMTPOptions & {
  /** The server: a name, an address, "host:port", "[v6]:port", or the path of a Unix socket, which begins with "/". */
  host?: string | undefined;
  /** Default: 465 if `secure`, 2003 for LMTP, 587 with `auth`, else 25. */
  port?: number | undefined;
  /** The protocol; LMTP has a reply for each recipient (RFC 2033). Default: "smtp". */
  protocol?: "smtp" | "lmtp" | undefined;
  /** Whether to use TLS from the first byte (RFC 8314 3.3). Default: true for SMTP on port 465, otherwise false. */
  secure?: boolean | undefined;
  /**
   * Whether to use STARTTLS (RFC 3207). If the server does not offer it, "required" fails and "opportunistic" continues
   * unencrypted. Default: "never" for a Unix socket, "required" with `auth`, otherwise "opportunistic".
   */
  starttls?: "required" | "opportunistic" | "never" | undefined;
  /** The credentials of each connection; all others wait until the first one has logged in. */
  auth?: PoolAuth | undefined;
  /** The maximum number of connections at a time. Default: 5. */
  maxConnections?: number | undefined;
  /** The maximum number of messages on one connection, which is then replaced. Default: the server's limit. */
  maxMessages?: number | undefined;
  /** Seconds after which an idle connection is closed. Default: 60. */
  idleTimeout?: number | undefined;
  /** Seconds after which a connection is replaced. Default: none. */
  maxLifetime?: number | undefined;
  /**
   * Seconds for which the pool keeps trying to connect, with growing pauses, while connections fail for a temporary
   * reason (refused, reset, timed out, 421, 4yz; not an unknown host). Then it rejects the waiting messages with the
   * last error. 0: a single try; a second one after a 421 while the server may still count a connection of the pool
   * that has just ended. Default: 30.
   */
  reconnectFor?: number | undefined;
  /** The maximum number of messages in a period, over all connections. Default: no limit. */
  rateLimit?: Rate | undefined;
  /** The maximum number of waiting messages; a call beyond that is rejected, see `ready()`. Default: 100,000. */
  maxQueue?: number | undefined;
};

/** Whether connections use STARTTLS. */
export type StartTlsPolicy = NonNullable<PoolOptions["starttls"]>;

/** The checked options, with defaults. */
export type PoolSettings = {
  readonly endpoint: Endpoint;
  readonly protocol: "smtp" | "lmtp";
  readonly secure: boolean;
  readonly starttls: StartTlsPolicy;
  readonly auth: Login | undefined;
  readonly maxConnections: number;
  readonly maxMessages: number;
  /** Milliseconds. */
  readonly idleTimeout: number;
  /** Milliseconds. */
  readonly maxLifetime: number;
  /** Milliseconds. */
  readonly reconnectFor: number;
  readonly rateLimit: Rate | undefined;
  readonly maxQueue: number;
  readonly timeouts: Timeouts;
  /** The TLS options; `undefined` if connections never use TLS. */
  readonly tls: (TlsOptions & { servername: string }) | undefined;
  readonly transport: Transport | undefined;
  readonly smtp: SMTPOptions;
  /** The option `chunking`, for all connections together. */
  readonly chunking: Chunking;
};

/**
 * Checks the arguments of the constructor: a URL, options, or both; options take precedence.
 * @throws {TypeError} or {RangeError} naming the invalid option
 */
export function poolSettings(where: unknown, more: unknown): PoolSettings {
  const given = typeof where === "string" ? optionsOfUrl(where) : checkObject(where, "options");
  const whole: PoolOptions = { ...given, ...definedIn(checkObject(more ?? {}, "options")) };
  const { host, port, protocol, secure, starttls, auth, ...others } = whole;
  const { maxConnections, maxMessages, idleTimeout, maxLifetime, reconnectFor, rateLimit, maxQueue, ...rest } = others;
  const smtp = checkOptions(rest);
  const kind = oneOf(protocol ?? "smtp", ["smtp", "lmtp"], "protocol");
  const login = checkAuth(auth);
  const name = checkArgument(host, "host");
  if (name === "") throw new RangeError("host must not be empty");
  const unix = name.startsWith("/");
  const usualPort = defaultPort(kind, secure === true, login);
  const endpoint = unix ? { path: name } : parseHost(name, port, usualPort);
  const tls = checkFlag(secure ?? (kind === "smtp" && isImplicitTls(endpoint)), "secure");
  const usual = unix ? "never" : login === undefined ? "opportunistic" : "required";
  const policy = oneOf(starttls ?? usual, ["required", "opportunistic", "never"], "starttls");
  return {
    endpoint,
    protocol: kind,
    secure: tls,
    starttls: policy,
    auth: login,
    maxConnections: count(maxConnections ?? 5, "maxConnections"),
    maxMessages: maxMessages === undefined ? NEVER : count(maxMessages, "maxMessages"),
    idleTimeout: milliseconds(idleTimeout ?? 60, "idleTimeout"),
    maxLifetime: milliseconds(maxLifetime, "maxLifetime"),
    reconnectFor: reconnectFor === 0 ? 0 : milliseconds(reconnectFor ?? 30, "reconnectFor"),
    rateLimit: checkRate(rateLimit),
    maxQueue: checkWholeNumber(maxQueue ?? 100_000, "maxQueue", 1, Number.MAX_SAFE_INTEGER),
    timeouts: resolveTimeouts(smtp.timeout, smtp.timeouts ?? {}),
    tls: tls || policy !== "never" ? tlsOptions(smtp.context ?? {}, "context", hostOf(endpoint)) : undefined,
    transport: smtp.transport,
    smtp,
    chunking: new Chunking(smtp.chunking),
  };
}

/** The settings of connections that are opened later, without pipelining. */
export function withoutPipelining(settings: PoolSettings): PoolSettings {
  return { ...settings, smtp: { ...settings.smtp, pipelining: false } };
}

/** Removes options that are `undefined`, which do not override the URL. */
function definedIn(options: object): object {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
}

/** Port 465 uses TLS from the first byte (RFC 8314 7.3). */
function isImplicitTls(endpoint: Endpoint): boolean {
  return "port" in endpoint && endpoint.port === 465;
}

function hostOf(endpoint: Endpoint): string {
  return "host" in endpoint ? endpoint.host : "";
}

function defaultPort(protocol: "smtp" | "lmtp", secure: boolean, auth: Login | undefined): number {
  if (protocol === "lmtp") return 2003;
  if (secure) return 465;
  return auth === undefined ? 25 : 587;
}

function checkAuth(auth: unknown): Login | undefined {
  if (auth === undefined) return undefined;
  const given: object = checkObject(auth, "auth");
  if (isMechanism(given)) return { credentials: given, mechanisms: undefined };
  const { user, password, token, authzid, mechanisms, ...others }: Record<string, unknown> = { ...given };
  checkNoMore(others, "auth");
  const name = checkSecret(user, "auth.user");
  if ((password === undefined) === (token === undefined)) {
    throw new TypeError("auth needs a password or a token, and not both");
  }
  if (token !== undefined) return { credentials: { user: name, token: checkToken(token) }, mechanisms: undefined };
  const credentials = { user: name, password: checkSecret(password, "auth.password") };
  const order = mechanisms === undefined ? undefined : checkMechanisms(mechanisms);
  if (authzid === undefined) return { credentials, mechanisms: order };
  return { credentials: { ...credentials, authzid: checkSecret(authzid, "auth.authzid") }, mechanisms: order };
}

/** Returns the token; connections that log in at the same time share one call of a token function. */
function checkToken(token: unknown): string | (() => Promise<string>) {
  if (isFunction(token)) return singleFlight(async () => token());
  return checkBearer(checkString(token, "auth.token"), "auth.token");
}

/** Checks a credential before there is a connection. */
function checkSecret(value: unknown, argument: string): string {
  return checkCredential(checkString(value, argument), argument);
}

function checkMechanisms(names: unknown): readonly string[] {
  if (!isStrings(names)) throw wrongType("auth.mechanisms", "an array of strings", names);
  const order = [...names];
  chooseMechanisms([], passwordMechanisms.keys(), order, "auth.mechanisms");
  return order;
}

function isMechanism(auth: object): auth is Mechanism {
  return "start" in auth && typeof auth.start === "function";
}

function checkNoMore(others: object, argument: string): void {
  const [other] = Object.keys(others);
  if (other !== undefined) throw new TypeError(`${argument} has no option ${JSON.stringify(other)}`);
}

function checkString(value: unknown, argument: string): string {
  if (typeof value !== "string") throw wrongType(argument, "a string", value);
  return value;
}

function checkRate(rate: unknown): Rate | undefined {
  if (rate === undefined) return undefined;
  const { messages, seconds, ...others }: Record<string, unknown> = { ...checkObject(rate, "rateLimit") };
  checkNoMore(others, "rateLimit");
  if (seconds === undefined) throw new TypeError("rateLimit.seconds is missing");
  return {
    messages: count(messages, "rateLimit.messages"),
    seconds: milliseconds(seconds, "rateLimit.seconds") / 1000,
  };
}

function count(value: unknown, argument: string): number {
  return checkWholeNumber(value, argument, 1, Number.MAX_SAFE_INTEGER);
}

function milliseconds(value: unknown, argument: string): number {
  const seconds = checkSeconds(value, argument);
  return seconds === undefined ? NEVER : seconds * 1000;
}

function checkFlag(value: unknown, argument: string): boolean {
  if (typeof value !== "boolean") throw wrongType(argument, "a boolean", value);
  return value;
}

function oneOf<T extends string>(value: T, allowed: readonly T[], argument: string): T {
  if (allowed.includes(value)) return value;
  throw new RangeError(`${argument} must be one of ${allowed.join(", ")}`);
}

function isFunction(value: unknown): value is () => string | Promise<string> {
  return typeof value === "function";
}

function isStrings(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((one) => typeof one === "string");
}
