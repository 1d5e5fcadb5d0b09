/** The facade's options and arguments: their types, and the checks, which run before a byte is written. */
import type { Endpoint, PeerInfo, TlsOptions, Transport } from "../byte-stream.ts";
import { keepError } from "../client/caller-errors.ts";
import { numbersOf, resolveTimeouts } from "../client/deadline.ts";
import type { Logger } from "../client/logger.ts";
import type { Pipelining } from "../client/session.ts";
import { asciiHostName } from "../core/a-label.ts";
import { checkArgument, quoted, wrongType } from "../core/bytes.ts";
import { DEFAULT_LIMITS, type SessionLimits } from "../core/limits.ts";
import type { EightBitPolicy } from "../core/plan.ts";
import type { TimeoutPhase } from "../errors.ts";

/** Options of `SMTP`, `SMTP_SSL` and `LMTP`: Python's, under their names, and further ones. */
export type SMTPOptions = {
  /**
   * The name for EHLO and HELO; sent as A-labels. Default, also for "": the local address of the connection, as an
   * address literal.
   */
  local_hostname?: string | undefined;
  /** Seconds for each phase except `quit` and `total`. Default: RFC 5321's limits for each phase. */
  timeout?: number | null | undefined;
  /** The local address and port to connect from. */
  source_address?: [host: string, port: number] | undefined;
  /** TLS options, including the verification of the server. */
  context?: TlsOptions | undefined;
  /** The transport that connects. Default: the running runtime's own. */
  transport?: Transport | undefined;
  /** Aborting it drops the session, at any time. */
  signal?: AbortSignal | undefined;
  /** Seconds for single phases. */
  timeouts?: { readonly [phase in TimeoutPhase]?: number | null | undefined } | undefined;
  /**
   * The maximum size in bytes of a `line`, a `reply`, and the reply to EHLO (`ehlo`). `minRate`: the bytes of a message
   * that the server must accept per second, on average; default 500.
   */
  limits?: { readonly [name in keyof SessionLimits]?: number | undefined } | undefined;
  /**
   * Receives log events, without credentials: the console, a logger of pino or LogTape, or any object with the same
   * methods. Events of a call are logged in its `AsyncLocalStorage` context.
   */
  logger?: Logger | undefined;
  /**
   * False: one command, one reply. Default: true, which pipelines if the server offers it (RFC 2920). "eager": if the
   * server also offers CHUNKING, sends whole messages of up to 256 KiB in one flight, several at a time; if the
   * connection is lost, all unanswered ones are "unknown".
   */
  pipelining?: Pipelining | undefined;
  /**
   * Whether messages are sent by BDAT if the server offers CHUNKING (RFC 3030). True: all of them; false: none, and
   * BODY=BINARYMIME is refused. Default: those that gain by it, which are streams, messages of more than 64 KiB,
   * BODY=BINARYMIME and `pipelining: "eager"`. A server that replies 500, 502 or 504 to BDAT, and has accepted none on
   * this connection, does not know it and may have read the message as commands: the connection is dropped, and, unless
   * this is true, DATA is used from then on.
   */
  chunking?: boolean | undefined;
  /** Permits mechanisms that reveal the password or token on an unencrypted connection. */
  allowInsecureAuth?: boolean | undefined;
  /** Bytes over 127 if the server lacks 8BITMIME: "refuse" (default) or, as Python does, "send". */
  eightBit?: EightBitPolicy | undefined;
};

/** The last argument of every sending method. */
export type CallOptions = {
  /** Aborting it ends the call, and the session if the call has begun; the promise rejects with the signal's reason. */
  signal?: AbortSignal | undefined;
};

type Check = (value: unknown, argument: string) => unknown;

/** The check of each option; other names are invalid. */
const CHECKS: { readonly [name in keyof Required<SMTPOptions>]: Check } = {
  local_hostname: (value, name) => asciiHostName(checkHostName(value, name), name),
  timeout: (value) => resolveTimeouts(value),
  source_address: checkSourceAddress,
  context: checkObject,
  transport: isA("function"),
  signal: checkSignal,
  timeouts: (value, name) => resolveTimeouts(undefined, checkObject(value, name)),
  limits: resolveLimits,
  logger: checkLogger,
  pipelining: checkPipelining,
  chunking: isA("boolean"),
  allowInsecureAuth: isA("boolean"),
  eightBit: checkEightBit,
};

/**
 * Checks all options.
 * @throws {TypeError} for an option that does not exist or has the wrong type
 * @throws {RangeError} for a value that is out of range or holds control characters
 */
export function checkOptions(options: SMTPOptions | null | undefined): SMTPOptions {
  const checked: SMTPOptions = { ...checkObject(options ?? {}, "options") };
  for (const [name, value] of Object.entries(checked)) {
    if (!isOption(name)) throw new TypeError(`there is no option ${quoted(name)}`);
    if (value !== undefined) CHECKS[name](value, name);
  }
  return copyNested(checked);
}

/** Copied: the caller may change its objects after the call. */
function copyNested(options: SMTPOptions): SMTPOptions {
  const { context, limits, local_hostname, timeouts, source_address, ...others } = options;
  const copy: SMTPOptions = { ...others };
  // As in Python, an empty name means the default.
  if (local_hostname) copy.local_hostname = asciiHostName(local_hostname, "local_hostname");
  if (context) copy.context = copyLists(context);
  if (limits) copy.limits = { ...limits };
  if (timeouts) copy.timeouts = { ...timeouts };
  if (source_address) copy.source_address = [asciiHostName(source_address[0], "source_address[0]"), source_address[1]];
  return copy;
}

/** The TLS options, with copied lists. */
function copyLists({ ca, fingerprint256, ...others }: TlsOptions): TlsOptions {
  const copy: TlsOptions = { ...others };
  if (ca !== undefined) copy.ca = Array.isArray(ca) ? [...ca] : ca;
  if (fingerprint256 !== undefined)
    copy.fingerprint256 = Array.isArray(fingerprint256) ? [...fingerprint256] : fingerprint256;
  return copy;
}

/** The limits, completed by the defaults. */
export function resolveLimits(limits: unknown = {}): SessionLimits {
  return numbersOf(DEFAULT_LIMITS, checkObject(limits, "limits"), "limits", (value, name) =>
    value === undefined ? value : checkWholeNumber(value, name, 1, Number.MAX_SAFE_INTEGER),
  );
}

/**
 * Parses a host. "host:port" and "[v6]:port" are accepted if there is no port argument; Python accepts only the first.
 * A non-ASCII name becomes A-labels for resolvers, TLS and errors.
 * @throws {TypeError} or {RangeError} naming the argument
 */
export function parseHost(host: unknown, port: unknown, defaultPort: number): Endpoint {
  // A URL may hold a password: it is not quoted.
  if (typeof host === "string" && /[@/]/.test(host)) {
    throw new RangeError(
      'host must be a host name or an address, without "/" and "@"; a connection URL is for SMTPPool',
    );
  }
  const text = checkHostName(host, "host");
  const given = checkWholeNumber(port ?? 0, "port", 0, 65_535);
  const split = /^\[([^\]]*)\](?::(.*))?$/.exec(text) ?? (given === 0 ? /^([^:]*):([^:]*)$/.exec(text) : null);
  if (text.startsWith("[") && split === null)
    throw new RangeError(`host must be "[address]" or "[address]:port": ${quoted(text)}`);
  const [, name = text, portText = "0"] = split ?? [];
  const own = checkWholeNumber(/^\d+$/.test(portText) ? Number(portText) : Number.NaN, "the port in host", 0, 65_535);
  return { host: asciiHostName(name, "host"), port: given || own || defaultPort };
}

/** The client's name for EHLO: its address on the connection, since no DNS name is known (RFC 5321 4.1.3). */
export function addressLiteral(peer: PeerInfo | undefined): string {
  const address = peer?.localAddress?.replace(/^::ffff:(?=\d+\.)/i, "").replace(/%.*$/, "") ?? "";
  if (address.includes(":")) return `[IPv6:${address}]`;
  return /^[\d.]+$/.test(address) ? `[${address}]` : "[127.0.0.1]";
}

/** The signal of a call's options. */
export function callSignal(call: CallOptions | undefined): AbortSignal | undefined {
  if (call === undefined) return undefined;
  const { signal }: CallOptions = checkObject(call, "call");
  return checkSignal(signal, "call.signal");
}

/** Checks an optional signal. */
export function checkSignal(signal: unknown, argument: string): AbortSignal | undefined {
  if (signal === undefined) return undefined;
  if (!(signal instanceof AbortSignal)) throw wrongType(argument, "an AbortSignal", signal);
  if (signal.aborted) keepError(signal.reason);
  return signal;
}

/** Checks an object that is no array. */
export function checkObject(value: unknown, argument: string): object {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value;
  throw wrongType(argument, "an object", value);
}

function isOption(name: string): name is keyof SMTPOptions {
  return Object.hasOwn(CHECKS, name);
}

function isA(type: "boolean" | "function"): Check {
  return (value, argument) => {
    if (typeof value !== type) throw wrongType(argument, `a ${type}`, value);
  };
}

/** Checks a name for a command or the resolver: no control characters and no spaces. */
export function checkHostName(value: unknown, argument: string): string {
  const text = checkArgument(value, argument);
  if (text.includes(" ")) throw new RangeError(`${argument} must not contain spaces: ${quoted(text)}`);
  return text;
}

/**
 * Checks a whole number in a range.
 * @throws {TypeError} or {RangeError} naming the argument
 */
export function checkWholeNumber(value: unknown, argument: string, least: number, most: number): number {
  if (typeof value !== "number") throw wrongType(argument, "a number", value);
  if (Number.isInteger(value) && value >= least && value <= most) return value;
  throw new RangeError(`${argument} must be a whole number from ${least} to ${most}, not ${value}`);
}

function checkSourceAddress(value: unknown, argument: string): void {
  if (!Array.isArray(value) || value.length !== 2) throw wrongType(argument, "[host, port]", value);
  checkHostName(value[0], `${argument}[0]`);
  checkWholeNumber(value[1], `${argument}[1]`, 0, 65_535);
}

function checkLogger(value: unknown, argument: string): void {
  const logger = checkObject(value, argument);
  for (const name of ["debug", "info", "warn", "error"])
    isA("function")(Reflect.get(logger, name), `${argument}.${name}`);
}

function checkPipelining(value: unknown, argument: string): void {
  if (value !== "eager" && typeof value !== "boolean") throw wrongType(argument, 'a boolean or "eager"', value);
}

function checkEightBit(value: unknown, argument: string): void {
  if (value !== "refuse" && value !== "send") throw new RangeError(`${argument} must be "refuse" or "send"`);
}
