/** Python's `smtplib.SMTP`: connecting, TLS, login, the end of the session, and attributes. */
import type { PeerInfo, TlsOptions } from "../byte-stream.ts";
import { withCallers } from "../client/caller-stack.ts";
import { Chunking, sendingPolicy } from "../client/chunking.ts";
import { Client } from "../client/client.ts";

import { resolveTimeouts, type Timeouts } from "../client/deadline.ts";
import { Events } from "../client/events.ts";
import type { AuthObject } from "../client/exchanges.ts";
import { describe, type Target } from "../client/open.ts";
import type { Session } from "../client/session.ts";
import { checkArgument } from "../core/bytes.ts";
import { showAs } from "../core/inspect.ts";
import type { Reply } from "../core/reply.ts";
import { SMTPResponseException, SMTPServerDisconnected } from "../errors.ts";
import { defaultTransport } from "../runtime.ts";
import { cramMd5Response } from "../sasl/cram-md5.ts";
import { checkCredential } from "../sasl/credential.ts";
import type { Mechanism } from "../sasl/mechanism.ts";
import { delivererOf } from "./delivery.ts";
import type { AuthContext } from "./login.ts";
import { type AuthOptions, checkAuth, checkLoginOptions, type LoginOptions } from "./login-options.ts";
import { addressLiteral, checkOptions, parseHost, resolveLimits, type SMTPOptions } from "./options.ts";
import { SMTPCommands } from "./smtp-commands.ts";
import { checkStartTls, startTls } from "./starttls.ts";
import { sessionSummary } from "./summary.ts";
import { implicitTls } from "./tls.ts";

/** Python's `SMTP_PORT`. */
export const SMTP_PORT = 25;

/** The differences between Python's three classes. */
export type Flavour = {
  readonly protocol: "smtp" | "lmtp";
  readonly port: number;
  readonly tls: "starttls" | "implicit";
};

/** A class whose `connect()` returns its own instances: `SMTP` or one that extends it. */
export type SMTPClass<T> = new (host?: string, port?: number, options?: SMTPOptions) => T;

/**
 * A connection to an SMTP server: Python's `smtplib.SMTP`.
 *
 * Calls run one after another, in the order in which they were made. Queued messages are pipelined if the server offers
 * it. All methods reject with `SMTPServerDisconnected` if there is no session.
 *
 * @example
 * ```ts
 * const smtp = await SMTP.connect("mail.example.com", 587);
 * try {
 *   await smtp.starttls();
 *   await smtp.login("user", "password");
 *   await smtp.sendmail("a@example.com", ["b@example.net"], "Subject: Hello\n\nHi!\n");
 * } finally {
 *   await smtp.quit();
 * }
 * ```
 */
export class SMTP extends SMTPCommands {
  /** The protocol, port and TLS mode of this class; `SMTP_SSL` and `LMTP` override it. */
  protected static readonly flavour: Flavour = { protocol: "smtp", port: SMTP_PORT, tls: "starttls" };

  /** The port that `connect()` uses by default. */
  default_port: number;
  /** The user name for the `auth_*` objects, as in Python; `login()` sets it. */
  user: string | undefined;
  readonly #flavour: Flavour;
  readonly #options: SMTPOptions;
  readonly #events: Events;
  readonly #client: Client;
  readonly #chunking: Chunking;
  readonly #opened: Promise<unknown>;
  #timeouts: Timeouts;
  #timeout: number | undefined;
  #localHostname: string | undefined;
  #loginQuestions = 0;
  #password: string | undefined;

  /**
   * With a host, starts to connect; the first method waits for that and throws the error if it failed, and
   * `SMTPConnectError` if the greeting is not 220. Without a host, nothing happens until `connect()`.
   * @throws {TypeError} or {RangeError} for an invalid host, port or option
   */
  constructor(host?: string, port?: number, options?: SMTPOptions) {
    const { flavour } = new.target;
    const checked = checkOptions(options);
    const { timeout, timeouts, local_hostname, logger, limits, pipelining = true, signal } = checked;
    const { protocol } = flavour;
    const events = new Events(logger, protocol);
    const chunking = new Chunking(checked.chunking);
    const client = new Client({
      protocol,
      limits: resolveLimits(limits),
      pipelining,
      chunking,
      policy: sendingPolicy(checked, chunking),
      timeouts: () => this.#timeouts,
      localName: (peer) => this.#localHostname ?? addressLiteral(peer),
      events,
      signal,
    });
    super(client, delivererOf(client, events), checked.eightBit);
    this.#flavour = flavour;
    this.#options = checked;
    this.#events = events;
    this.#client = client;
    this.#chunking = chunking;
    this.default_port = flavour.port;
    this.#timeout = timeout ?? undefined;
    this.#timeouts = resolveTimeouts(timeout, timeouts);
    this.#localHostname = local_hostname;
    const connects = host !== undefined && host !== "";
    this.#opened = connects ? client.open(this.#target(host, port)) : Promise.resolve();
    // Avoids an unhandled rejection; the first method call throws the error again.
    this.#opened.catch(() => {});
    showAs(this, () => sessionSummary(this, this.#session, this.#events.endpoint));
  }

  /**
   * Constructs an instance and connects.
   * @throws {SMTPConnectError} if there is no connection (`smtp_code` -1), or the greeting is not 220
   * @throws {SMTPTimeoutError} if a timeout expires
   * @throws {SMTPServerDisconnected} if the server closes the connection before its greeting
   */
  static async connect<T extends SMTP>(
    this: SMTPClass<T>,
    host: string,
    port?: number,
    options?: SMTPOptions,
  ): Promise<T> {
    const smtp = new this(host, port, options);
    if (host === "") throw new RangeError("host must not be empty");
    await withCallers(smtp.#opened);
    return smtp;
  }

  /**
   * Connects, and discards the state of an earlier session: Python's `connect()`. Accepts "host:port" and "[v6]:port".
   * @returns the greeting, whatever its code
   * @throws the errors of `SMTP.connect`, except for the greeting's code
   */
  async connect(host = "localhost", port = 0): Promise<Reply> {
    const target = this.#target(host, port);
    return await this.#call((session) => session.connect(target));
  }

  /**
   * Sends STARTTLS (RFC 3207): encrypts the session and verifies the server. Discards the unencrypted reply to EHLO.
   * @param tls - options that override those of the option `context`
   * @throws {SMTPNotSupportedError} if the server does not offer it
   * @throws {SMTPResponseException} if the server refuses it
   * @throws {SMTPServerDisconnected} if the handshake or the verification fails, or unencrypted bytes follow the reply
   */
  async starttls(tls?: TlsOptions): Promise<Reply> {
    const { context } = this.#options;
    const own = checkStartTls(tls);
    return await this.#call((session) => startTls(session, context, own));
  }

  /**
   * Logs in (RFC 4954). Tries the mechanisms that both sides support, strongest first: SCRAM with and without channel
   * binding, CRAM-MD5, PLAIN and LOGIN.
   * @throws {SMTPNotSupportedError} if the server lacks AUTH, or all mechanisms would reveal the password to the
   * network
   * @throws {SMTPAuthenticationError} if the server refuses all; `causes` has an error for each
   * @throws {SMTPException} if there is no common mechanism
   */
  async login(user: string, password: string, options: LoginOptions = {}): Promise<Reply> {
    this.user = user;
    this.password = password;
    checkCredential(user, "user");
    checkCredential(password, "password");
    const how = checkLoginOptions(options);
    return await this.#authenticating(({ login }, context) => login(context, { user, password }, how));
  }

  /**
   * Runs one SASL mechanism: a `Mechanism`, after EHLO if that was not sent yet, or Python's authobject.
   * @throws {SMTPAuthenticationError} if the server refuses
   * @throws {SMTPNotSupportedError} if the mechanism would reveal the password to the network
   */
  async auth(mechanism: string, authobject: AuthObject | Mechanism, options: AuthOptions = {}): Promise<Reply> {
    const checked = checkAuth(mechanism, authobject, options);
    return await this.#authenticating(({ auth }, context) => {
      this.#loginQuestions = 0;
      return auth(context, checked);
    });
  }

  /** Python's authobject for PLAIN; uses `user` and `password` of the instance. */
  readonly auth_plain: AuthObject = () => {
    const { user, password } = this.#credentials;
    return `\0${user}\0${password}`;
  };
  /** Python's authobject for LOGIN: answers the first challenge with `user`, each later one with `password`. */
  readonly auth_login: AuthObject = () => this.#credentials[this.#loginQuestions++ === 0 ? "user" : "password"];
  /** Python's authobject for CRAM-MD5; uses `user` and `password` of the instance. It has no initial response. */
  readonly auth_cram_md5: AuthObject = async (challenge) => {
    if (challenge === undefined) return undefined;
    const { user, password } = this.#credentials;
    return cramMd5Response(user, password, challenge);
  };

  /** Prints the dialogue with `console.error`: 1 or true without, 2 with the time; 0: off. Masks credentials. */
  set_debuglevel(level: number | boolean): void {
    this.#events.debuglevel = Number(level);
  }

  /**
   * Sends QUIT after all earlier calls are settled, and closes the connection (RFC 5321 4.1.1.10). The server cannot
   * make it reject, so it is safe in a `finally` block: it hides neither a success nor a failure.
   * @returns the reply, whatever its code; `[-1, reason]` if there is none (garbage, a lost connection, a timeout by
   * `timeouts.quit`), or if the session has already ended
   * @throws {SMTPServerDisconnected} if this instance was never connected; if connecting failed and another call threw
   * the error, `quit()` resolves with `[-1, reason]`. The reason of the option `signal`, if that fires while `quit()`
   * waits for the reply; if it fired before, the session has already ended
   */
  quit(): Promise<Reply> {
    return withCallers(this.#client.quit());
  }

  /** Drops the connection at once; pending calls reject. Never throws, never waits. */
  close(): void {
    this.#session.close();
  }

  /**
   * `await using`: sends QUIT and closes the connection, as Python's `with` does; ignores a lost connection.
   * @throws {SMTPResponseException} if the reply to QUIT is not 221; the reason of the option `signal`, if that fires
   * meanwhile
   */
  async [Symbol.asyncDispose](): Promise<void> {
    try {
      const reply = await this.quit();
      // -1: there was no reply.
      if (reply.code !== 221 && reply.code !== -1)
        throw new SMTPResponseException(reply.code, reply.message, { reply });
    } catch (error) {
      if (!(error instanceof SMTPServerDisconnected)) throw error;
    } finally {
      this.close();
    }
  }

  /** The name for EHLO and HELO, as sent; set "" for the default. */
  get local_hostname(): string {
    return this.#localHostname ?? addressLiteral(this.peer);
  }

  set local_hostname(name: string) {
    this.#localHostname = checkOptions({ local_hostname: name }).local_hostname;
  }

  /** The timeout of each phase except `quit` and `total`, in seconds; `undefined`: the timeouts of RFC 5321. */
  get timeout(): number | undefined {
    return this.#timeout;
  }

  set timeout(seconds: number | undefined) {
    this.#timeouts = resolveTimeouts(seconds, this.#options.timeouts);
    this.#timeout = seconds;
  }

  /** The password for the `auth_*` objects, as in Python; `login()` sets it. Printing the instance does not show it. */
  get password(): string | undefined {
    return this.#password;
  }

  set password(password: string | undefined) {
    this.#password = password;
  }

  /** The level that `set_debuglevel()` set. */
  get debuglevel(): number {
    return this.#events.debuglevel;
  }

  set debuglevel(level: number) {
    this.set_debuglevel(level);
  }

  /** Whether the session is connected. */
  get connected(): boolean {
    const { connection } = this.#session;
    return connection !== undefined && connection.end === undefined;
  }

  /** The addresses of the connection and its TLS session; `undefined` without a connection. */
  get peer(): PeerInfo | undefined {
    return this.#session.connection?.peer;
  }

  /** Checked for the authobjects: a NUL would end the user name in PLAIN's message. */
  get #credentials(): { readonly user: string; readonly password: string } {
    return {
      user: checkCredential(this.user ?? "", "user"),
      password: checkCredential(this.password ?? "", "password"),
    };
  }

  #target(host: string, port: number | undefined): () => Promise<Target> {
    const { protocol, tls } = this.#flavour;
    const unix = protocol === "lmtp" && checkArgument(host, "host").startsWith("/");
    const endpoint = unix ? { path: host } : parseHost(host, port, this.default_port);
    const { context, source_address, transport } = this.#options;
    const sourceAddress = unix ? undefined : source_address;
    const name = "host" in endpoint ? endpoint.host : "";
    this.#chunking.connectsTo(describe(endpoint));
    this.#events.endpoint = endpoint;
    return async () => ({
      endpoint,
      sourceAddress,
      tls: implicitTls(tls, context, name),
      transport: transport ?? (await defaultTransport({ endpoint, options: { sourceAddress } })),
    });
  }

  get #session(): Session {
    return this.#client.session;
  }

  #authenticating(task: (module: typeof import("./login.ts"), context: AuthContext) => Promise<Reply>): Promise<Reply> {
    const { allowInsecureAuth = false } = this.#options;
    const loading = import("./login.ts");
    return this.#call(async (session) => task(await loading, { session, allowInsecureAuth }));
  }

  /** Runs a task as one call of the session. */
  #call<T>(task: (session: Session) => Promise<T>): Promise<T> {
    return withCallers(this.#client.exclusively(task));
  }
}
