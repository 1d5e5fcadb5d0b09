/** The real mail servers that `run.sh` has started, and the suites that need them. */
import { readFileSync } from "node:fs";
import { env } from "node:process";
import { describe, it } from "vitest";

/** The servers that the tests know. */
export type ServerName = "postfix" | "postfix-cyrus" | "cyrus" | "exim" | "sendmail" | "dovecot" | "aiosmtpd";

/** A running server, on loopback. */
export type Server = {
  name: ServerName;
  protocol: "smtp" | "lmtp";
  host: string;
  /** Unencrypted, with STARTTLS. */
  port: number;
  /** Implicit TLS. */
  tlsPort: number | undefined;
  /** The path of its Unix socket. */
  socket: string | undefined;
  /** The authority that signed its certificate, in PEM; the certificate is good for localhost and 127.0.0.1. */
  ca: string;
  /** The only account. */
  user: string;
  password: string;
  /** A bearer token for the same account, if the server accepts one. */
  token: string | undefined;
  /** A certificate and key for the same account, in PEM, if the server accepts them. */
  clientCert: string | undefined;
  clientKey: string | undefined;
  /** A Maildir, or a folder with one for each user. */
  maildir: string;
  /** How lines end in the stored files. */
  lineEnd: "lf" | "crlf";
  /** The offered SASL mechanisms, weakest first. */
  mechanisms: readonly string[];
};

/** The description of a server that `run.sh` writes: files as paths, without the features that it lacks. */
type Description = Omit<Server, "name" | "user" | "password"> & { user?: string; password?: string };
type Listing = {
  servers: Partial<Record<ServerName, Description>> & Partial<Record<ProxyName, ProxyServer>>;
  absent: Partial<Record<ServerName | ProxyName, string>>;
};

/** The proxies that the tests know. */
export type ProxyName = "danted" | "tinyproxy" | "haproxy";

/** A running proxy, on loopback. */
export type ProxyServer = {
  host: string;
  port: number;
  /** The port that requires user and password, if there is one. */
  passwordPort?: number;
  user?: string;
  password?: string;
  /** The port with TLS, and the file of the authority that signed its certificate. */
  tlsPort?: number;
  ca?: string;
};

const listing = readListing(env.SMTPLIB_SERVERS);

/** The description of a server, or undefined if it does not run. */
export function server(name: ServerName): Server | undefined {
  const found = listing?.servers[name];
  if (found === undefined) return undefined;
  return {
    name,
    protocol: found.protocol,
    host: found.host,
    port: found.port,
    tlsPort: found.tlsPort,
    socket: found.socket,
    ca: readFileSync(found.ca, "utf8"),
    user: found.user ?? "",
    password: found.password ?? "",
    token: found.token,
    clientCert: found.clientCert && readFileSync(found.clientCert, "utf8"),
    clientKey: found.clientKey && readFileSync(found.clientKey, "utf8"),
    maildir: found.maildir,
    lineEnd: found.lineEnd,
    mechanisms: found.mechanisms,
  };
}

/**
 * A suite that needs a real server. Without the server it is skipped with a message; where servers are required (CI,
 * SMTPLIB_REQUIRE_SERVERS=1) it fails instead.
 */
export function describeServer(name: ServerName, suite: (server: Server) => void): void {
  describeFound(name, server(name), suite);
}

/** The same with a real proxy. */
export function describeProxy(name: ProxyName, suite: (proxy: ProxyServer) => void): void {
  describeFound(name, listing?.servers[name], suite);
}

function describeFound<T>(name: ServerName | ProxyName, found: T | undefined, suite: (found: T) => void): void {
  if (found !== undefined) {
    describe(name, () => suite(found));
    return;
  }
  const reason =
    listing === undefined
      ? "SMTPLIB_SERVERS is not set; run the tests by test/servers/run.sh, after test/servers/install.sh"
      : `${name} ${listing.absent[name] ?? "is not in the list"}; see test/servers/install.sh`;
  if (env.CI === "true" || env.SMTPLIB_REQUIRE_SERVERS === "1") {
    it(`${name} runs`, () => {
      throw new Error(reason);
    });
    return;
  }
  console.warn(`SKIPPED: the tests against ${name}: ${reason}`);
  describe.skip(name, () => it(reason, () => {}));
}

function readListing(path: string | undefined): Listing | undefined {
  if (path === undefined || path === "") return undefined;
  const parsed: Listing = JSON.parse(readFileSync(path, "utf8"));
  return parsed;
}
