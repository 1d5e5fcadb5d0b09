/** The options for the connection to a server, of all commands that are clients, and the settings they result in. */
import { createPrivateKey, X509Certificate } from "node:crypto";
import { isIP } from "node:net";
import { createSecureContext, type SecureContextOptions } from "node:tls";
import { type Endpoint, LMTP, SMTP, SMTP_SSL, type SMTPOptions, type TlsOptions, type Transport } from "../index.ts";
import { defaultTransport } from "../runtime.ts";
import type { Arguments, OptionTable } from "./arguments.ts";
import { UsageError } from "./exit-codes.ts";
import { readText, reasonOf } from "./files.ts";
import { proxyTransport } from "./proxy.ts";
import { endpointOf, parseTarget, type Target, type TlsMode } from "./target.ts";

/** How to reach a server. */
export const CONNECTION_OPTIONS: OptionTable = {
  tls: { help: "TLS from the first byte on, as on port 465" },
  starttls: { value: "POLICY", help: "required, opportunistic or never" },
  lmtp: { help: "LMTP instead of SMTP" },
  ca: { value: "FILE", multiple: true, help: "certificate authorities to trust, in PEM" },
  cert: { value: "FILE", help: "the client certificate, in PEM" },
  key: { value: "FILE", help: "its private key, in PEM" },
  fingerprint: { value: "SHA256", multiple: true, help: "the required fingerprint of the server's certificate" },
  servername: { value: "NAME", help: "the name to verify in the certificate. Default: HOST" },
  insecure: { help: "do not verify the server's certificate" },
  "min-tls": { value: "VERSION", help: "1.2 or 1.3" },
  ciphers: { value: "LIST", help: "the ciphers to offer, as OpenSSL names them" },
  groups: { value: "LIST", help: "the groups to offer, as OpenSSL names them: X25519:P-256" },
  proxy: { value: "URL", help: "socks5h://, socks4a://, http:// or https:// with [USER:PASSWORD@]HOST[:PORT]" },
  "source-address": { value: "ADDR[:PORT]", help: "the local address to connect from" },
  helo: { value: "NAME", help: "the name to send in EHLO" },
  timeout: { value: "SECONDS", help: "the limit for each step" },
};

/** How to reach a server. */
export type Connection = {
  readonly protocol: "smtp" | "lmtp";
  readonly endpoint: Endpoint;
  readonly tls: TlsMode;
  /** Whether `tls` was asked for, and is not the default. */
  readonly tlsAsked: boolean;
  readonly context: TlsOptions;
  /** A transport through a proxy; undefined: the runtime's own transport. */
  readonly transport: Transport | undefined;
  readonly sourceAddress: [host: string, port: number] | undefined;
  readonly helo: string | undefined;
  /** Seconds. */
  readonly timeout: number | undefined;
  /** Credentials in the target's URL. */
  readonly target: Target;
};

/**
 * Reads the options of a connection to a target.
 * @throws {UsageError} for an invalid option; {CommandError} for a file that cannot be read
 */
export async function connectionOf(args: Arguments, text: string, argument: string): Promise<Connection> {
  const target = parseTarget(text, argument);
  args.atMostOneOf("tls", "starttls");
  args.atMostOneOf("tls", "lmtp");
  if (args.has("lmtp") && target.protocol === "smtp")
    throw new UsageError("--lmtp", `contradicts the URL of ${argument}`);
  const protocol = target.protocol ?? (args.has("lmtp") || target.path !== undefined ? "lmtp" : "smtp");
  if (target.path !== undefined && protocol === "smtp") {
    throw new UsageError(argument, "is a Unix socket, which only LMTP has here");
  }
  const asked = args.has("tls") ? "implicit" : args.choice("starttls", ["required", "opportunistic", "never"]);
  const hasLogin = args.has("user") || target.user !== undefined;
  const endpoint = endpointOf({ ...target, protocol, tls: asked ?? target.tls }, hasLogin);
  const usual = protocol === "smtp" && "port" in endpoint && endpoint.port === 465 ? "implicit" : "opportunistic";
  const proxy = args.text("proxy");
  return {
    protocol,
    endpoint,
    tls: asked ?? target.tls ?? usual,
    tlsAsked: asked !== undefined || target.tls !== undefined,
    context: await contextOf(args),
    transport: proxy === undefined ? undefined : proxyTransport(proxy),
    sourceAddress: sourceAddressOf(args.text("source-address")),
    helo: args.text("helo") ?? target.helo,
    timeout: args.number("timeout", 0.001, 86_400, "any"),
    target,
  };
}

/** The options of `SMTP`, `SMTP_SSL` or `LMTP` for a connection. */
export function smtpOptions({ context, sourceAddress, helo, timeout }: Connection): SMTPOptions {
  return {
    context,
    ...(sourceAddress === undefined ? {} : { source_address: sourceAddress }),
    ...(helo === undefined ? {} : { local_hostname: helo }),
    ...(timeout === undefined ? {} : { timeout }),
  };
}

/** A client of the class that a connection requires, not connected yet. */
export function clientFor({ protocol, tls }: Connection, options: SMTPOptions): SMTP {
  if (protocol === "lmtp") return new LMTP(undefined, undefined, options);
  return tls === "implicit" ? new SMTP_SSL(undefined, undefined, options) : new SMTP(undefined, undefined, options);
}

/** The transport that a connection uses if none is given: through its proxy, or the runtime's own. */
export async function ownTransport({ endpoint, sourceAddress, transport }: Connection): Promise<Transport> {
  return transport ?? (await defaultTransport({ endpoint, options: { sourceAddress } }));
}

async function contextOf(args: Arguments): Promise<TlsOptions> {
  const read = async (name: string): Promise<string | undefined> => {
    const path = args.text(name);
    return path === undefined ? undefined : readText(`--${name}`, path);
  };
  if (args.has("cert") !== args.has("key")) {
    throw new UsageError(args.has("cert") ? "--cert" : "--key", "needs the other one: --cert and --key go together");
  }
  const ca = await Promise.all(args.texts("ca").map((path) => readText("--ca", path)));
  if (!ca.every(hasCertificates)) throw new UsageError("--ca", "is no certificate in PEM");
  const version = args.choice("min-tls", ["1.2", "1.3"]);
  const fingerprints = args.texts("fingerprint");
  const wrong = fingerprints.find((text) => !/^(?:[\da-f]{2}:?){32}$/i.test(text));
  if (wrong !== undefined) throw new UsageError("--fingerprint", `is no SHA-256 fingerprint: ${JSON.stringify(wrong)}`);
  const cert = await read("cert");
  const key = await read("key");
  const [ciphers, groups] = [args.text("ciphers"), args.text("groups")];
  if (cert !== undefined && key !== undefined) checkPair(cert, key);
  const chosen = ["ciphers", "groups"].find((name) => args.has(name));
  if (chosen !== undefined && "Deno" in globalThis) throw new UsageError(`--${chosen}`, "cannot be chosen on Deno");
  checkUsable("--ciphers", { ciphers });
  checkUsable("--groups", { ecdhCurve: groups });
  return {
    servername: args.text("servername"),
    ca: ca.length === 0 ? undefined : ca,
    cert,
    key,
    fingerprint256: fingerprints.length === 0 ? undefined : [...fingerprints],
    rejectUnauthorized: args.has("insecure") ? false : undefined,
    minVersion: version === undefined ? undefined : `TLSv${version}`,
    ciphers,
    groups,
  };
}

function hasCertificates(text: string): boolean {
  const blocks = text.match(/-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g) ?? [];
  try {
    return blocks.map((block) => new X509Certificate(block)).length > 0;
  } catch {
    return false;
  }
}

/**
 * Whether a certificate and a private key can be used together.
 * @throws {UsageError} if not
 */
export function checkPair(cert: string, key: string): void {
  if (!hasCertificates(cert)) throw new UsageError("--cert", "is no certificate in PEM");
  try {
    createPrivateKey(key);
  } catch {
    throw new UsageError("--key", "is no private key in PEM, or one that asks for a passphrase");
  }
  checkUsable("--cert", { cert, key });
}

/**
 * Lets the runtime check the TLS options before they are used.
 * @throws {UsageError} if it cannot be used
 */
function checkUsable(argument: string, options: SecureContextOptions): void {
  try {
    createSecureContext(options);
  } catch (error) {
    throw new UsageError(argument, `cannot be used: ${reasonOf(error)}`);
  }
}

function sourceAddressOf(text: string | undefined): [host: string, port: number] | undefined {
  if (text === undefined) return undefined;
  const { host, port = 0 } = parseTarget(text, "--source-address");
  if (isIP(host) === 0 || text.includes("://")) {
    throw new UsageError("--source-address", `must be ADDRESS or ADDRESS:PORT: ${JSON.stringify(text)}`);
  }
  return [host, port];
}
