/**
 * A transport for nodemailer, which sends through `SMTPPool`: nodemailer builds and signs the mail, as ever, and this
 * brings it to the server.
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
import type { Delivery } from "../client/outcome.ts";
import { SMTPNotSupportedError } from "../errors.ts";
import type { PoolOptions } from "../pool/options.ts";
import { SMTPPool } from "../pool/smtp-pool.ts";
import { abortError, asNodemailerError, type NodemailerError, recipientError, responseOf } from "./errors.ts";
import { Listeners } from "./listeners.ts";
import { contentOf, type Mail, type Wanted, wantedBy, withoutDsn } from "./mail.ts";

export type { ErrorCode, ErrorFields, NodemailerError } from "./errors.ts";
export type { Mail } from "./mail.ts";

/** The version of this package, for nodemailer's log. */
export const VERSION = "0.1.0";

/** What `sendMail()` gives. */
export type SentMessageInfo = {
  /** The addresses that the mail was sent with. */
  envelope: { from: string; to: string[] };
  /** The Message-ID that is in the mail. */
  messageId: string;
  /** The recipients whose mail the server took. */
  accepted: string[];
  /** The others. */
  rejected: string[];
  /** An error for each of those, if there are any. */
  rejectedErrors?: NodemailerError[];
  /** The server's last reply, with its queue id. */
  response: string;
  /** Octets that nodemailer made of the mail. */
  messageSize: number;
};

/** What nodemailer's methods call when they are done. */
export type Callback<T> = (error: NodemailerError | null, result?: T) => void;

/**
 * A transport for nodemailer's `createTransport()`.
 * @param given - the options of `SMTPPool`; or a URL, `smtp://user:password@host:587`, and options
 */
export function smtplib(...given: [options: PoolOptions] | [url: string, options?: PoolOptions]): SmtplibTransport {
  return new SmtplibTransport(...given);
}

/** How many messages wait behind those that are being sent before the transport is no longer idle, by connection. */
const WAITING = 1;

/** The transport. Its methods are those that nodemailer calls. */
export class SmtplibTransport {
  /** For nodemailer's log. */
  readonly name = "smtplib";
  /** For nodemailer's log. */
  readonly version: string = VERSION;
  /** A mail's `signal` is looked after here. */
  readonly supportsAbortSignal = true;
  /** Set by nodemailer. */
  mailer?: unknown;
  readonly #pool: SMTPPool;
  readonly #protocol: "smtp" | "lmtp";
  readonly #connections: number;
  readonly #dropped = new AbortController();
  readonly #listeners = new Listeners();
  #pending = 0;
  #idling = true;

  /** @throws {TypeError} or {RangeError} naming the option that is wrong */
  constructor(...given: [options: PoolOptions] | [url: string, options?: PoolOptions]) {
    const [where, more] = given;
    const options: PoolOptions = (typeof where === "string" ? more : where) ?? {};
    const signals = [this.#dropped.signal, ...(options.signal === undefined ? [] : [options.signal])];
    const own = { ...options, signal: AbortSignal.any(signals) };
    this.#pool = typeof where === "string" ? new SMTPPool(where, own) : new SMTPPool(own);
    const lmtp = typeof where === "string" && /^lmtp:/i.test(where);
    this.#protocol = options.protocol ?? (lmtp ? "lmtp" : "smtp");
    this.#connections = options.maxConnections ?? 5;
    // Who feeds the transport when it is idle begins with this.
    setTimeout(() => this.#listeners.tell("idle"), 0);
  }

  /** Sends a mail; called by nodemailer. */
  send(mail: Mail, callback: Callback<SentMessageInfo>): void {
    this.#pending++;
    this.#idling = this.isIdle();
    settle(this.#send(mail), (error, info) => {
      this.#pending--;
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
   * Tries whether mail could be sent: connects, encrypts and logs in, by a connection of its own.
   * Rejects, or calls back, with what `sendMail()` would.
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
    return this.#pending < (this.#pool.stats.limit || this.#connections) * (1 + WAITING);
  }

  /** How many mails were taken and are not settled. */
  pendingCount(): number {
    return this.#pending;
  }

  /**
   * Takes no more mails, sends those that it has, and closes all connections; resolves then. With `force` drops them now,
   * and what is being sent fails.
   */
  close(options: { force?: boolean | undefined } = {}): Promise<void> {
    if (options.force) this.#dropped.abort(new Error("Connection pool was closed"));
    return this.#pool.close();
  }

  /** Listens to an event: "idle" when mails could be sent soon again, and once at the beginning. */
  on(event: string | symbol, listener: (...args: unknown[]) => void): this {
    this.#listeners.add(event, listener);
    return this;
  }

  /** Listens to an event once. */
  once(event: string | symbol, listener: (...args: unknown[]) => void): this {
    this.#listeners.add(event, listener, "once");
    return this;
  }

  /** Ends listening. */
  off(event: string | symbol, listener: (...args: unknown[]) => void): this {
    this.#listeners.remove(event, listener);
    return this;
  }

  async #verify(): Promise<true> {
    try {
      await this.#pool.check();
      return true;
    } catch (error) {
      throw this.#explained(error, undefined);
    }
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
    const content = contentOf(mail);
    const { signal } = mail.data;
    const { wantsDsn: _, ...request } = wanted;
    try {
      const delivery = await this.#pool.deliver({ ...request, body: content.body, signal });
      const envelope = { from: wanted.from, to: wanted.to.map((one) => (typeof one === "string" ? one : one.address)) };
      return { envelope, ...this.#infoOf(delivery), messageSize: content.octets };
    } catch (error) {
      if (signal?.aborted && error === signal.reason) throw abortError(error);
      throw this.#explained(error, content.error);
    }
  }

  #infoOf({ accepted, refused, reply }: Delivery): Pick<SentMessageInfo, "accepted" | "rejected" | "response"> {
    const rejected = Object.keys(refused);
    const rejectedErrors = Object.entries(refused).map(([address, one]) =>
      recipientError(address, one, this.#protocol),
    );
    return { accepted, rejected, ...(rejected.length > 0 ? { rejectedErrors } : {}), response: responseOf(reply) };
  }

  #explained(error: unknown, streamError: unknown): NodemailerError {
    const explained = asNodemailerError(error, this.#protocol);
    if (streamError === undefined) return explained;
    const code: unknown = streamError instanceof Error ? Reflect.get(streamError, "code") : undefined;
    const originalCode = typeof code === "string" ? { originalCode: code } : {};
    return Object.assign(explained, { code: "ESTREAM" as const, command: "API" }, originalCode);
  }
}

/** Calls back when the work is over. What the callback throws is not swallowed: it becomes an unhandled rejection. */
function settle<T>(work: Promise<T>, callback: Callback<T>): void {
  work.then(
    (result) => callback(null, result),
    (error) => callback(error),
  );
}
