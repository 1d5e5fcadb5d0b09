/**
 * A transport for nodemailer, which sends through `SMTPPool`: nodemailer builds and signs the mail as usual, and the
 * transport sends it.
 *
 * @example
 * ```ts
 * import { createTransport } from "nodemailer";
 * import { smtplib } from "smtplib/nodemailer";
 *
 * const transporter = createTransport(
 *   smtplib({ host: "mail.example.com", auth: { user: "user", password: "password" } }),
 * );
 * const info = await transporter.sendMail({
 *   from: "Ada <ada@example.com>",
 *   to: "charles@example.net",
 *   subject: "Hello",
 *   text: "Hi!",
 * });
 * console.log(info.accepted, info.response);
 * await transporter.close();
 * ```
 *
 * @module
 */
import type { Transporter } from "nodemailer";
import type { Delivery } from "../client/outcome.ts";
import { showAs } from "../core/inspect.ts";
import { SMTPNotSupportedError, SMTPServerDisconnected } from "../errors.ts";
import type { PoolOptions } from "../pool/options.ts";
import { SMTPPool } from "../pool/pool.ts";
import { MailContent } from "./content.ts";
import {
  abortError,
  asNodemailerError,
  asOptionError,
  type NodemailerError,
  recipientError,
  responseOf,
} from "./errors.ts";
import { Listeners } from "./listeners.ts";
import { type Mail, type Wanted, wantedBy, withoutDsn } from "./mail.ts";
import { checkNames, watchingToken } from "./options.ts";
import { PendingMails } from "./pending.ts";

export type { ErrorCode, ErrorFields, NodemailerError } from "./errors.ts";
export type { DsnOptions, Mail } from "./mail.ts";

/** The version of this package, for nodemailer's log. */
export const VERSION = "0.1.0";

/** The result of `sendMail()`. */
export type SentMessageInfo = {
  /** The addresses that the mail was sent with. */
  envelope: { from: string; to: string[] };
  /** The Message-ID of the mail. */
  messageId: string;
  /** The recipients that the server accepted. */
  accepted: string[];
  /** The others. */
  rejected: string[];
  /** An error for each of those, if there are any. */
  rejectedErrors?: NodemailerError[];
  /** The server's last reply, with its queue id. */
  response: string;
  /** The extensions of the server, if it has any: the lines of its answer to EHLO without the first. */
  ehlo?: string[];
  /** Milliseconds from MAIL until the server asked for the content. */
  envelopeTime: number;
  /** Milliseconds from then until the server's last reply. */
  messageTime: number;
  /** Bytes of the message as DATA carries it, with doubled dots and the last line's dot. */
  messageSize: number;
};

/** A callback of nodemailer's methods. */
export type Callback<T> = (error: NodemailerError | null, result?: T) => void;

/**
 * A transport for nodemailer's `createTransport()`.
 * @param given - the options of `SMTPPool`; or a URL, `smtp://user:password@host:587`, and options
 */
export function smtplib(...given: [options: PoolOptions] | [url: string, options?: PoolOptions]): SmtplibTransport {
  return new SmtplibTransport(...given);
}

/** The number of waiting messages per connection at which the transport is no longer idle. */
const WAITING = 1;

/** The transport. Its methods are those that nodemailer calls. */
export class SmtplibTransport {
  /** For nodemailer's log. */
  readonly name = "smtplib";
  /** For nodemailer's log. */
  readonly version: string = VERSION;
  /** Tells nodemailer that the transport handles the `signal` of a mail. */
  readonly supportsAbortSignal = true;
  /**
   * Not one of the services that nodemailer knows by name. In the types, it distinguishes the transport from
   * nodemailer's options, all of which are optional, so that `createTransport()` returns this `SentMessageInfo`.
   */
  readonly service = false as const;
  readonly #pool: SMTPPool;
  readonly #connections: number;
  readonly #dropped = new AbortController();
  readonly #listeners = new Listeners();
  readonly #mails = new PendingMails();
  readonly #tokenFailures = new WeakSet<object>();
  #mailer: Transporter<SentMessageInfo> | undefined;
  #idling = true;
  #closing: Promise<void> | undefined;

  /** @throws {TypeError} or {RangeError} naming the option that is wrong; its `code` is EAUTH or ECONFIG */
  constructor(...given: [options: PoolOptions] | [url: string, options?: PoolOptions]) {
    const [where, more] = given;
    const options: PoolOptions = (typeof where === "string" ? more : where) ?? {};
    try {
      checkNames(options);
      const signals = [this.#dropped.signal, ...(options.signal === undefined ? [] : [options.signal])];
      const own = { ...watchingToken(options, this.#tokenFailures), signal: AbortSignal.any(signals) };
      this.#pool = typeof where === "string" ? new SMTPPool(where, own) : new SMTPPool(own);
    } catch (error) {
      throw asOptionError(error);
    }
    this.#connections = options.maxConnections ?? 5;
    showAs(this, () => ({ name: this.name, version: this.version, pending: this.pendingCount(), pool: this.#pool }));
    void this.#reportIdle();
  }

  /** Set by nodemailer. A mail is pending from the call of its `sendMail()` on: `close()` waits for it. */
  get mailer(): Transporter<SentMessageInfo> | undefined {
    return this.#mailer;
  }

  set mailer(mailer: Transporter<SentMessageInfo> | undefined) {
    this.#mailer = mailer;
    if (mailer !== undefined) this.#mails.watch(mailer, () => this.#refusal());
  }

  /** Sends a mail; called by nodemailer. */
  send(mail: Mail, callback: Callback<SentMessageInfo>): void {
    if (!this.#mails.takes(mail)) return settle(Promise.reject(this.#refusal()), callback);
    this.#mails.begin();
    this.#idling = this.isIdle();
    settle(this.#send(mail), (error, info) => {
      this.#mails.end();
      try {
        callback(error, info);
      } finally {
        if (!this.#idling && this.isIdle()) {
          this.#idling = true;
          this.#listeners.tell("idle");
        }
      }
    });
  }

  /**
   * Checks whether mail can be sent: connects, encrypts and logs in, on a separate connection.
   * Rejects, or calls back, with the errors of `sendMail()`.
   */
  verify(): Promise<true>;
  verify(callback: Callback<true>): void;
  verify(callback?: Callback<true>): Promise<true> | undefined {
    const verified = this.#verify();
    if (callback === undefined) return verified;
    settle(verified, callback);
    return undefined;
  }

  /** Whether a mail would be sent soon: fewer wait than there are connections. */
  isIdle(): boolean {
    return this.#mails.sending < (this.#pool.stats.limit || this.#connections) * (1 + WAITING);
  }

  /** The number of mails that are not settled. */
  pendingCount(): number {
    return this.#mails.sending;
  }

  /**
   * Accepts no more mails, sends those it has and those that nodemailer is building, then closes all connections
   * and resolves. Mails that nodemailer has not built after 30 seconds are refused. With `force` it drops all mails
   * now: those being sent or built fail.
   */
  close(options: { force?: boolean | undefined } = {}): Promise<void> {
    this.#mails.close();
    if (options.force) {
      this.#dropped.abort(new Error("Connection pool was closed"));
      this.#mails.giveUp();
      return this.#end();
    }
    this.#closing ??= this.#mails.none().then(() => this.#end());
    return this.#closing;
  }

  /** Adds a listener: "idle" fires when another mail would be sent soon, and once at the beginning. */
  on(event: string | symbol, listener: (...args: unknown[]) => void): this {
    this.#listeners.add(event, listener);
    return this;
  }

  /** Adds a listener for one event. */
  once(event: string | symbol, listener: (...args: unknown[]) => void): this {
    this.#listeners.add(event, listener, "once");
    return this;
  }

  /** Removes a listener. */
  off(event: string | symbol, listener: (...args: unknown[]) => void): this {
    this.#listeners.remove(event, listener);
    return this;
  }

  async #end(): Promise<void> {
    await this.#pool.close();
    this.#mails.refuse(() => this.#refusal());
  }

  async #verify(): Promise<true> {
    try {
      await this.#pool.check();
      return true;
    } catch (error) {
      throw this.#explained(error, undefined);
    }
  }

  /** Emits the first "idle", with which programs begin that send mails when the transport is idle. */
  async #reportIdle(): Promise<void> {
    // Listeners may be added a few awaits after the transport is made. Not a timer: tests may have replaced timers.
    for (let turn = 0; turn < 20; turn++) await undefined;
    if (this.#idling) this.#listeners.tell("idle");
  }

  #refusal(): NodemailerError {
    const details = { temporary: false, delivery: "not-sent" } as const;
    return this.#explained(new SMTPServerDisconnected("Connection pool was closed", details), undefined);
  }

  async #send(mail: Mail): Promise<SentMessageInfo> {
    const messageId = mail.message.messageId();
    const wanted = wantedBy(mail);
    try {
      return { ...(await this.#deliver(mail, wanted)), messageId };
    } catch (error) {
      if (!wanted.wantsDsn || !(error instanceof SMTPNotSupportedError) || error.capability !== "DSN") throw error;
      // Nothing was sent.
      return { ...(await this.#deliver(mail, withoutDsn(wanted))), messageId };
    }
  }

  async #deliver(mail: Mail, wanted: Wanted): Promise<Omit<SentMessageInfo, "messageId">> {
    const content = new MailContent(mail);
    const { signal } = mail.data;
    const { wantsDsn: _, ...request } = wanted;
    try {
      const delivery = await this.#pool.deliver({ ...request, body: content, signal });
      const envelope = { from: wanted.from, to: wanted.to.map((one) => (typeof one === "string" ? one : one.address)) };
      const { ehlo, octets: messageSize, times } = content;
      return { envelope, ...infoOf(delivery), ...(ehlo && { ehlo }), ...times, messageSize };
    } catch (error) {
      if (signal?.aborted && error === signal.reason) throw abortError(error);
      throw this.#explained(error, content.error);
    }
  }

  #explained(error: unknown, streamError: unknown): NodemailerError {
    const explained = asNodemailerError(error, this.#tokenFailures);
    if (streamError === undefined) return explained;
    const code: unknown = streamError instanceof Error ? Reflect.get(streamError, "code") : undefined;
    const originalCode = typeof code === "string" ? { originalCode: code } : {};
    return Object.assign(explained, { code: "ESTREAM" as const, command: "API" }, originalCode);
  }
}

function infoOf({ accepted, refused, reply }: Delivery): Pick<SentMessageInfo, "accepted" | "rejected" | "response"> {
  const rejected = Object.keys(refused);
  const rejectedErrors = Object.entries(refused).map(([address, one]) => recipientError(address, one));
  return { accepted, rejected, ...(rejected.length > 0 ? { rejectedErrors } : {}), response: responseOf(reply) };
}

/** Calls back when the work is over. An error of the callback becomes an unhandled rejection and is not swallowed. */
function settle<T>(work: Promise<T>, callback: Callback<T>): void {
  void work.then(
    (result) => callback(null, result),
    (error) => callback(error),
  );
}
