/** The facade's options and arguments: their types, and the checks that name what is wrong before a byte is written. */
import type { Endpoint, PeerInfo, TlsOptions, Transport } from "../byte-stream.ts";
import { resolveTimeouts } from "../client/deadline.ts";
import type { Logger } from "../client/events.ts";
import { quoteaddr } from "../core/address.ts";
import { checkArgument, kindOf } from "../core/bytes.ts";
import { DEFAULT_LIMITS, type Limits } from "../core/dialogue.ts";
import type { EightBitPolicy } from "../core/plan.ts";
import type { TimeoutPhase } from "../errors.ts";

/** Options of `SMTP`, `SMTP_SSL` and `LMTP`: Python's, under their names, and ours. */
export type SMTPOptions = {
  /** The name for EHLO and HELO. Default: our address on the connection, as an address literal. */
  local_hostname?: string | undefined;
  /** Seconds for each phase but `quit` and `total`. Default: RFC 5321's, phase by phase. */
  timeout?: number | null | undefined;
  /** The local address and port to connect from. */
  source_address?: [host: string, port: number] | undefined;
  /** How TLS is set up and the server verified. */
  context?: TlsOptions | undefined;
  /** How to connect. Default: the running runtime's own transport. */
  transport?: Transport | undefined;
  /** Aborting it drops the session, at any time. */
  signal?: AbortSignal | undefined;
  /** Seconds for single phases. */
  timeouts?: { readonly [phase in TimeoutPhase]?: number | null | undefined } | undefined;
  /** How much the server may say, in octets: a line, a reply, the reply to EHLO. */
  limits?: Partial<Limits> | undefined;
  /** Is told of the dialogue, without credentials. */
  logger?: Logger | undefined;
  /** False: one command, one reply. Default: true, which pipelines where the server offers it (RFC 2920). */
  pipelining?: boolean | undefined;
  /** Permits mechanisms that show the password or token over an unencrypted connection. */
  allowInsecureAuth?: boolean | undefined;
  /** Octets over 127 for a server without 8BITMIME: refuse the message, the default, or send it all the same, as Python does. */
  eightBit?: EightBitPolicy | undefined;
};

/** What every sending method takes last. */
export type CallOptions = {
  /** Aborting it ends the call, and the session if the call has begun; the promise rejects with the signal's reason. */
  signal?: AbortSignal | undefined;
};

const CHECKS: { readonly [name in keyof Required<SMTPOptions>]: (value: unknown, name: string) => void } = {
  local_hostname: checkHostName,
  timeout: (value) => void resolveTimeouts(value),
  source_address: checkSourceAddress,
  context: checkTlsOptions,
  transport: isA("function"),
  signal: (value, name) => checkSignal(value, name),
  timeouts: (value, name) => void resolveTimeouts(undefined, checkObject(value, name)),
  limits: (value) => void resolveLimits(value),
  logger: checkLogger,
  pipelining: isA("boolean"),
  allowInsecureAuth: isA("boolean"),
  eightBit: checkEightBit,
};

/**
 * Checks the options, all of them.
 * @throws {TypeError} for an option that does not exist or has the wrong type
 * @throws {RangeError} for a value that is out of range or holds control characters
 */
export function checkOptions(options: unknown): SMTPOptions {
  if (options === undefined || options === null) return {};
  const known: object = CHECKS;
  for (const name of Object.keys(checkObject(options, "options"))) {
    if (!Object.hasOwn(known, name)) throw new TypeError(`there is no option ${JSON.stringify(name)}`);
  }
  const checked: SMTPOptions = { ...options };
  for (const name of Object.keys(checked).filter(isOptionName)) {
    if (checked[name] !== undefined) CHECKS[name](checked[name], name);
  }
  return checked;
}

/** The limits with the defaults filled in. */
export function resolveLimits(limits: unknown): Limits {
  const given = limits === undefined ? {} : checkObject(limits, "limits");
  for (const [name, value] of Object.entries(given)) {
    if (!Object.hasOwn(DEFAULT_LIMITS, name)) throw new TypeError(`limits has no ${JSON.stringify(name)}`);
    if (!Number.isSafeInteger(value) || Number(value) < 1) {
      throw new RangeError(`limits.${name} must be a positive whole number of octets, not ${String(value)}`);
    }
  }
  return { ...DEFAULT_LIMITS, ...given };
}

/** "host:port" and "[v6]:port" are understood where no port is given, as in Python, which knows the first only. */
export function parseHost(host: unknown, port: unknown, defaultPort: number): Endpoint {
  const text = checkHostName(host, "host");
  const number = checkPort(port ?? 0, "port");
  const [, literal, literalPort] = /^\[([^\]]*)\](?::(.*))?$/.exec(text) ?? [];
  if (literal !== undefined) return { host: literal, port: number || namedPort(literalPort) || defaultPort };
  if (number === 0 && text.split(":").length === 2) {
    const [name = "", portText] = text.split(":");
    return { host: name, port: namedPort(portText) || defaultPort };
  }
  return { host: text, port: number || defaultPort };
}

/**
 * Checks how TLS is to be set up.
 * @throws {TypeError} naming the option
 */
export function checkTlsOptions(tls: unknown, argument: string): TlsOptions {
  const options: TlsOptions = { ...checkObject(tls, argument) };
  for (const [name, value] of Object.entries(options)) {
    if (value !== undefined) checkTlsOption(name, value, argument);
  }
  if ((options.cert === undefined) !== (options.key === undefined)) {
    throw new TypeError(`${argument}.cert and ${argument}.key go together`);
  }
  return options;
}

/** Our name for EHLO: our address on the connection, since nobody can resolve a name that is not ours (RFC 5321 4.1.3). */
export function addressLiteral(peer: PeerInfo | undefined): string {
  const address = peer?.localAddress?.replace(/^::ffff:(?=\d+\.)/i, "").replace(/%.*$/, "");
  if (address === undefined || !/^[\d.]+$|:/.test(address)) return "[127.0.0.1]";
  return address.includes(":") ? `[IPv6:${address}]` : `[${address}]`;
}

/** The signal of a call's options. */
export function callSignal(call: CallOptions | undefined): AbortSignal | undefined {
  if (call === undefined) return undefined;
  const { signal }: CallOptions = checkObject(call, "call");
  return checkSignal(signal, "call.signal");
}

/**
 * The name that the server's certificate must bear.
 * @throws {TypeError} if there is none, as on a Unix socket
 */
export function serverName(tls: TlsOptions, host: string): string {
  const name = tls.servername ?? host;
  if (name !== "") return name;
  throw new TypeError("TLS needs context.servername here: a Unix socket has no name that a certificate could bear");
}

/** The name for EHLO and HELO, if one was given. */
export function optionalName(name: unknown): string | undefined {
  return name === undefined || name === "" ? undefined : checkHostName(name, "name");
}

/** An address for VRFY and EXPN: without angle brackets, and not checked for being one, as in Python. */
export function bareAddress(address: unknown): string {
  const quoted = quoteaddr(checkArgument(address, "address"));
  return quoted.startsWith("<") && quoted.endsWith(">") ? quoted.slice(1, -1) : quoted;
}

/** A signal, or nothing. */
export function checkSignal(signal: unknown, argument: string): AbortSignal | undefined {
  if (signal === undefined || signal instanceof AbortSignal) return signal;
  throw new TypeError(`${argument} must be an AbortSignal, not ${kindOf(signal)}`);
}

/** An object that is no array. */
export function checkObject(value: unknown, argument: string): object {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value;
  throw new TypeError(`${argument} must be an object, not ${kindOf(value)}`);
}

function checkTlsOption(name: string, value: unknown, argument: string): void {
  const path = `${argument}.${name}`;
  switch (name) {
    case "servername":
      checkHostName(value, path);
      return;
    case "cert":
    case "key":
      return isA("string")(value, path);
    case "ca":
    case "fingerprint256":
      for (const one of Array.isArray(value) ? value : [value]) isA("string")(one, path);
      return;
    case "rejectUnauthorized":
      return isA("boolean")(value, path);
    case "minVersion":
      if (value === "TLSv1.2" || value === "TLSv1.3") return;
      throw new RangeError(`${path} must be "TLSv1.2" or "TLSv1.3", not ${JSON.stringify(value)}`);
    default:
      throw new TypeError(`${argument} has no option ${JSON.stringify(name)}`);
  }
}

function isOptionName(name: string): name is keyof SMTPOptions {
  return Object.hasOwn(CHECKS, name);
}

function isA(type: "string" | "boolean" | "function"): (value: unknown, argument: string) => void {
  return (value, argument) => {
    if (typeof value !== type) throw new TypeError(`${argument} must be a ${type}, not ${kindOf(value)}`);
  };
}

/** A name that stands in a command or goes to the resolver: no control characters and no spaces. */
function checkHostName(value: unknown, argument: string): string {
  const text = checkArgument(value, argument);
  if (text.includes(" ")) throw new RangeError(`${argument} must not contain spaces: ${JSON.stringify(text)}`);
  return text;
}

function checkPort(port: unknown, argument: string): number {
  if (typeof port !== "number") throw new TypeError(`${argument} must be a number, not ${kindOf(port)}`);
  if (Number.isInteger(port) && port >= 0 && port <= 65_535) return port;
  throw new RangeError(`${argument} must be a whole number from 0 to 65535, not ${port}`);
}

function namedPort(text: string | undefined): number {
  if (text === undefined) return 0;
  if (/^\d{1,5}$/.test(text)) return checkPort(Number(text), "the port in host");
  throw new RangeError(`the port in host must be a number, not ${JSON.stringify(text)}`);
}

function checkSourceAddress(value: unknown, argument: string): void {
  if (!Array.isArray(value) || value.length !== 2) throw new TypeError(`${argument} must be [host, port]`);
  checkHostName(value[0], `${argument}[0]`);
  checkPort(value[1], `${argument}[1]`);
}

function checkLogger(value: unknown, argument: string): void {
  const logger: Partial<Logger> = checkObject(value, argument);
  const { debug, info, warn, error } = logger;
  for (const [name, method] of Object.entries({ debug, info, warn, error }))
    isA("function")(method, `${argument}.${name}`);
}

function checkEightBit(value: unknown, argument: string): void {
  if (value === "refuse" || value === "send") return;
  throw new RangeError(`${argument} must be "refuse" or "send", not ${JSON.stringify(value)}`);
}
