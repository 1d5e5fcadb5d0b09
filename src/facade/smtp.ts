/** Python's `smtplib.SMTP`: its methods, attributes and exceptions, on top of a session. */
import type { PeerInfo, TlsOptions } from "../byte-stream.ts";
import { withCallers } from "../client/caller-stack.ts";
import { Chunking, sendingPolicy } from "../client/chunking.ts";
import { Client } from "../client/client.ts";
import { type Body, contentOf, discard } from "../client/content.ts";
import { resolveTimeouts, type Timeouts } from "../client/deadline.ts";
import { Events } from "../client/events.ts";
import type { AuthObject } from "../client/exchanges.ts";
import { describe, type Target } from "../client/open.ts";
import type { Delivery } from "../client/outcome.ts";
import type { Session } from "../client/session.ts";
import { checkArgument } from "../core/bytes.ts";
import type { RcptOptions } from "../core/extensions/extension.ts";
import type { Features } from "../core/features.ts";
import { showAs } from "../core/inspect.ts";
import type { Options } from "../core/plan.ts";
import type { Refused, Reply } from "../core/reply.ts";
import { SMTPResponseException, SMTPServerDisconnected } from "../errors.ts";
import { defaultTransport } from "../runtime.ts";
import { checkCredential } from "../sasl/credential.ts";
import type { Mechanism } from "../sasl/mechanism.ts";
import { Commands } from "./commands.ts";
import {
  type Deliver,
  type DeliveryRequest,
  deliverBy,
  PromisedDelivery,
  sendMessageBy,
  sendmailBy,
} from "./delivery.ts";
import { mailParametersOf, rcptParametersOf } from "./envelope.ts";
import type { AuthContext, AuthOptions, LoginOptions } from "./login.ts";
import type { Message } from "./message.ts";
import {
  addressLiteral,
  type CallOptions,
  checkOptions,
  parseHost,
  resolveLimits,
  type SMTPOptions,
} from "./options.ts";
import { startTls } from "./starttls.ts";
import { sessionSummary } from "./summary.ts";
import { implicitTls } from "./tls.ts";

/** Python's `SMTP_PORT`. */
export const SMTP_PORT = 25;

/** What tells Python's three classes apart. */
export type Flavour = {
  readonly protocol: "smtp" | "lmtp";
  readonly port: number;
  readonly tls: "starttls" | "implicit";
};

type SMTPClass<T> = new (host?: string, port?: number, options?: SMTPOptions) => T;

/**
 * A connection to an SMTP server: Python's `smtplib.SMTP`.
 *
 * Methods called before the last one ended queue up in call order. Messages that queue are pipelined where the server
 * offers it. All methods reject with `SMTPServerDisconnected` where there is no session.
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
export class SMTP {
  /** What a subclass of ours differs in. */
  protected static readonly flavour: Flavour = { protocol: "smtp", port: SMTP_PORT, tls: "starttls" };

  /** The port for `connect()` without one. */
  default_port: number;
  /** As in Python, for the `auth_*` objects: set by `login()`. */
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
   * With a host, begins to connect at once; the first method awaits that and throws what went wrong, as it does
   * `SMTPConnectError` if the greeting is not 220. Without one, nothing happens until `connect()`.
   * @throws {TypeError} or {RangeError} for a host, port or options that cannot be
   */
  constructor(host?: string, port?: number, options?: SMTPOptions) {
    const { flavour } = new.target;
    const checked = checkOptions(options);
    const { timeout, timeouts, local_hostname, logger, limits, pipelining = true, signal } = checked;
    const { protocol } = flavour;
    this.#flavour = flavour;
    this.#options = checked;
    this.default_port = flavour.port;
    this.#timeout = timeout ?? undefined;
    this.#timeouts = resolveTimeouts(timeout, timeouts);
    this.#localHostname = local_hostname;
    this.#events = new Events(logger, protocol);
    this.#chunking = new Chunking(checked.chunking);
    this.#client = new Client({
      protocol,
      limits: resolveLimits(limits),
      pipelining,
      chunking: this.#chunking,
      policy: sendingPolicy(checked, this.#chunking),
      timeouts: () => this.#timeouts,
      localName: (peer) => this.#localHostname ?? addressLiteral(peer),
      events: this.#events,
      signal,
    });
    const connects = host !== undefined && host !== "";
    this.#opened = connects ? this.#client.open(this.#target(host, port)) : Promise.resolve();
    // Who never uses the instance never hears of it; the first method does.
    this.#opened.catch(() => {});
    showAs(this, () => sessionSummary(this, this.#session, this.#events.endpoint));
  }

  /**
   * Constructs and connects in one step.
   * @throws {SMTPConnectError} if there is no connection (`smtp_code` -1), or the greeting is not 220
   * @throws {SMTPTimeoutError} if that takes too long
   * @throws {SMTPServerDisconnected} if the server hangs up before its greeting
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
   * Connects, and forgets all of an earlier session: Python's `connect()`. "host:port" and "[v6]:port" are understood.
   * @returns the greeting, whatever its code
   * @throws as `SMTP.connect` does, but for the greeting's code
   */
  async connect(host = "localhost", port = 0): Promise<Reply> {
    const target = this.#target(host, port);
    return await this.#call((session) => session.connect(target));
  }

  /** Says HELO (RFC 5321 4.1.1.1). */
  helo(name?: string): Promise<Reply> {
    return this.#say((say) => say.hello("HELO", name));
  }

  /** Says EHLO, or LHLO in LMTP, and remembers what the server offers (RFC 5321 4.1.1.1, RFC 2033 4.1). */
  ehlo(name?: string): Promise<Reply> {
    return this.#say((say) => say.hello("EHLO", name));
  }

  /**
   * Says EHLO, and HELO if that is refused, unless one of them was said in this session.
   * @throws {SMTPHeloError} if both are refused
   */
  ehlo_or_helo_if_needed(): Promise<void> {
    return this.#say((say) => say.helloIfNeeded());
  }

  /** Whether the server offers an extension; the case of its name does not matter. */
  has_extn(name: string): boolean {
    return checkArgument(name, "name").toLowerCase() in this.esmtp_features;
  }

  /** MAIL FROM: begins a transaction (RFC 5321 4.1.1.2). Options are dropped for a server without ESMTP, as in Python. */
  async mail(sender: string, options: Options = []): Promise<Reply> {
    const parameters = mailParametersOf(options);
    return await this.#say((say) => say.mail(sender, parameters));
  }

  /** RCPT TO: adds a recipient (RFC 5321 4.1.1.3). */
  async rcpt(recipient: string, options: Options<RcptOptions> = []): Promise<Reply> {
    const parameters = rcptParametersOf(options);
    return await this.#say((say) => say.rcpt(recipient, parameters));
  }

  /**
   * DATA and the message (RFC 5321 4.1.1.4).
   * @returns the reply to the message, whatever its code; the last of them in LMTP
   * @throws {SMTPDataError} if DATA is not answered with 354
   */
  async data(message: Body): Promise<Reply> {
    const content = contentOf(message, "message");
    try {
      return await this.#say((say) => say.data(content, this.#options.eightBit));
    } catch (error) {
      discard(content);
      throw error;
    }
  }

  /** RSET: gives up the transaction (RFC 5321 4.1.1.5). */
  rset(): Promise<Reply> {
    return this.docmd("RSET");
  }

  /** NOOP (RFC 5321 4.1.1.9). */
  noop(): Promise<Reply> {
    return this.docmd("NOOP");
  }

  /**
   * VRFY: asks whether an address, or a name, exists (RFC 5321 4.1.1.6). A name of several words is sent in quotes.
   * @throws {RangeError} if it is neither
   * @throws {SMTPNotSupportedError} if it is not ASCII and the server lacks SMTPUTF8; a domain goes as A-labels
   */
  verify(address: string): Promise<Reply> {
    return this.#say((say) => say.ask("VRFY", address));
  }

  /** The same as `verify()`. */
  vrfy(address: string): Promise<Reply> {
    return this.verify(address);
  }

  /**
   * EXPN: asks who is on a mailing list (RFC 5321 4.1.1.7).
   * @throws as `verify` does
   */
  expn(address: string): Promise<Reply> {
    return this.#say((say) => say.ask("EXPN", address));
  }

  /** HELP (RFC 5321 4.1.1.8); gives the text of the reply. */
  async help(args = ""): Promise<string> {
    const [, text] = await this.docmd("HELP", args);
    return text;
  }

  /** Sends any command and gives the reply. STARTTLS is refused: `starttls()` does what belongs to it. */
  docmd(verb: string, args = ""): Promise<Reply> {
    return this.#say((say) => say.docmd(verb, args));
  }

  /** Sends any command; its reply is for `getreply()`. */
  putcmd(verb: string, args = ""): Promise<void> {
    return this.#say((say) => say.putcmd(verb, args));
  }

  /** Waits for the next reply of the server. */
  getreply(): Promise<Reply> {
    return this.#say((say) => say.getreply());
  }

  /** Sends octets as they are; "" sends nothing, and throws if there is no session. */
  send(bytes: string | Uint8Array): Promise<void> {
    return this.#say((say) => say.send(bytes));
  }

  /**
   * STARTTLS (RFC 3207): encrypts the session after verifying the server. What was learnt in clear is forgotten.
   * @param tls - on top of the option `context`
   * @throws {SMTPNotSupportedError} if the server does not offer it
   * @throws {SMTPResponseException} if the server refuses it
   * @throws {SMTPServerDisconnected} if the handshake or the verification fails, or clear text follows the reply
   */
  starttls(tls?: TlsOptions): Promise<Reply> {
    const { context } = this.#options;
    return this.#call((session) => startTls(session, context, tls));
  }

  /**
   * Logs in with the strongest mechanism that both sides have, which are SCRAM with channel binding and without,
   * CRAM-MD5, PLAIN and LOGIN; after a refusal with the next (RFC 4954).
   * @throws {SMTPNotSupportedError} if the server offers no AUTH, or only such that would show the password to the network
   * @throws {SMTPAuthenticationError} if all were refused; `causes` has an error for each
   * @throws {SMTPException} if there is no common mechanism
   */
  login(user: string, password: string, options: LoginOptions = {}): Promise<Reply> {
    this.user = user;
    this.password = password;
    return this.#authenticating(({ login }, context) => login(context, { user, password }, options));
  }

  /**
   * Runs one SASL mechanism: a `Mechanism`, before which EHLO is said if nobody has, or Python's authobject.
   * @throws {SMTPAuthenticationError} if the server refuses
   * @throws {SMTPNotSupportedError} if the mechanism would show the password to the network
   */
  auth(mechanism: string, authobject: AuthObject | Mechanism, options: AuthOptions = {}): Promise<Reply> {
    return this.#authenticating(({ auth }, context) => {
      this.#loginQuestions = 0;
      return auth(context, mechanism, authobject, options);
    });
  }

  /** Python's authobject for PLAIN; takes `user` and `password` from the instance. */
  readonly auth_plain: AuthObject = () => {
    const { user, password } = this.#credentials;
    return `\0${user}\0${password}`;
  };
  /** Python's authobject for LOGIN: the first question is for `user`, each later one for `password`. */
  readonly auth_login: AuthObject = () => this.#credentials[this.#loginQuestions++ === 0 ? "user" : "password"];
  /** Python's authobject for CRAM-MD5; takes `user` and `password` from the instance. It has no initial response. */
  readonly auth_cram_md5: AuthObject = async (challenge) => {
    if (challenge === undefined) return undefined;
    const { user, password } = this.#credentials;
    return (await import("../sasl/cram-md5.ts")).cramMd5Response(user, password, challenge);
  };

  /**
   * Sends a message: Python's `sendmail()`.
   * @param to_addrs - one address, or an iterable of them
   * @param mail_options - ESMTP parameters of MAIL; @param rcpt_options - those of every RCPT
   * @returns the refused recipients, each with the reply; empty if all were accepted
   * @throws {SMTPHeloError} if the server refuses our greeting
   * @throws {SMTPSenderRefused} if it refuses the sender
   * @throws {SMTPRecipientsRefused} if it refuses all recipients
   * @throws {SMTPDataError} if it refuses the message
   * @throws {SMTPNotSupportedError} if it lacks what the message needs; nothing was sent then
   * @throws {SMTPServerDisconnected} if the connection is lost; `delivery` tells what is known of the message
   */
  sendmail(
    from_addr: string,
    to_addrs: string | Iterable<string>,
    msg: Body,
    mail_options?: Options,
    rcpt_options?: Options<RcptOptions>,
    call?: CallOptions,
  ): Promise<Refused> {
    const envelope = { from_addr, to_addrs, mail_options, rcpt_options };
    return sendmailBy(this.#deliver, msg, envelope, call);
  }

  /**
   * Sends a message with the sender and the recipients that its header names, unless they are given, and without its
   * Bcc fields: Python's `send_message()`. A `Resent-` block, if there is one, is what counts.
   * @throws as `sendmail` does; {RangeError} if an address field cannot be read without guessing
   */
  send_message(
    msg: Message,
    from_addr?: string,
    to_addrs?: string | Iterable<string>,
    mail_options?: Options,
    rcpt_options?: Options<RcptOptions>,
    call?: CallOptions,
  ): Promise<Refused> {
    const envelope = { from_addr, to_addrs, mail_options, rcpt_options };
    return sendMessageBy(this.#deliver, msg, envelope, call);
  }

  /**
   * Sends a message and gives the whole answer: who was accepted, who was refused, and the replies.
   * @throws as `sendmail` does
   */
  deliver(delivery: DeliveryRequest): Promise<Delivery> {
    return deliverBy(this.#deliver, delivery);
  }

  /** 1 or true prints the dialogue with `console.error`, 2 with the time of day, 0 or false nothing. Credentials are masked. */
  set_debuglevel(level: number | boolean): void {
    this.#events.debuglevel = Number(level);
  }

  /**
   * Sends QUIT, after the calls before it are settled, and closes the connection (RFC 5321 4.1.1.10). The server cannot
   * make it reject, so it may stand in a `finally` block: it hides neither a success nor a failure.
   * @returns the reply, whatever its code; `[-1, why]` where there is none to understand (garbage, a lost connection,
   * silence until the option `timeouts.quit`), and where the session is over already
   * @throws {SMTPServerDisconnected} if this instance was never connected; where connecting failed and another call has
   * thrown the reason, `quit()` resolves with `[-1, why]`. The reason of the option `signal`, if that fires while QUIT
   * is awaited; where it fired before, the session is over already
   */
  quit(): Promise<Reply> {
    return withCallers(this.#client.quit());
  }

  /** Drops the connection now; what is pending rejects. Never throws, never waits. */
  close(): void {
    this.#session.close();
  }

  /**
   * `await using`: QUIT and the end of the connection, as Python's `with` does; a lost connection is fine.
   * @throws {SMTPResponseException} if QUIT is not answered with 221; the reason of the option `signal`, if that fires
   * meanwhile
   */
  async [Symbol.asyncDispose](): Promise<void> {
    try {
      const reply = await this.quit();
      // -1 stands for a reply that never came.
      if (reply.code !== 221 && reply.code !== -1)
        throw new SMTPResponseException(reply.code, reply.message, { reply });
    } catch (error) {
      if (!(error instanceof SMTPServerDisconnected)) throw error;
    } finally {
      this.close();
    }
  }

  /** True after a good EHLO. */
  get does_esmtp(): boolean {
    return this.#session.serverInfo.esmtp;
  }

  /** Lower-case EHLO keyword -> its parameters; it has no prototype. */
  get esmtp_features(): Features {
    return this.#session.serverInfo.features;
  }

  /** The text of the answer to EHLO. */
  get ehlo_resp(): string | undefined {
    return this.#session.serverInfo.ehlo;
  }

  /** The text of the answer to HELO. */
  get helo_resp(): string | undefined {
    return this.#session.serverInfo.helo;
  }

  /** The name for EHLO and HELO, as it is sent; "" stands for the default. */
  get local_hostname(): string {
    return this.#localHostname ?? addressLiteral(this.peer);
  }

  set local_hostname(name: string) {
    this.#localHostname = checkOptions({ local_hostname: name }).local_hostname;
  }

  /** Seconds for each phase but `quit` and `total`; undefined: RFC 5321's. */
  get timeout(): number | undefined {
    return this.#timeout;
  }

  set timeout(seconds: number | undefined) {
    this.#timeouts = resolveTimeouts(seconds, this.#options.timeouts);
    this.#timeout = seconds;
  }

  /** As in Python, for the `auth_*` objects: set by `login()`. It does not show when the instance is printed. */
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

  /** Whether there is a live session. */
  get connected(): boolean {
    const { connection } = this.#session;
    return connection !== undefined && connection.end === undefined;
  }

  /** Both ends of the connection and its TLS session, while there is one. */
  get peer(): PeerInfo | undefined {
    return this.#session.connection?.peer;
  }

  /** For the authobjects; a NUL would end the user name in PLAIN's message. */
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

  readonly #deliver: Deliver = (request, signal) =>
    this.#events.delivering(
      request,
      () =>
        new Promise((resolve, reject) => {
          this.#client.deliver(new PromisedDelivery(request, signal, resolve, reject));
        }),
    );

  get #session(): Session {
    return this.#client.session;
  }

  #authenticating(task: (module: typeof import("./login.ts"), context: AuthContext) => Promise<Reply>): Promise<Reply> {
    const { allowInsecureAuth = false } = this.#options;
    const loading = import("./login.ts");
    return this.#call(async (session) => task(await loading, { session, allowInsecureAuth }));
  }

  /** Runs a task as one call, undisturbed. */
  #call<T>(task: (session: Session) => Promise<T>): Promise<T> {
    return withCallers(this.#client.exclusively(task));
  }

  /** Says a command as one call. */
  #say<T>(task: (commands: Commands) => Promise<T>): Promise<T> {
    return this.#call((session) => task(new Commands(session)));
  }
}
