/** `SMTPPool` as the package exports it: the sending methods, with the arguments of `SMTP`'s, over a pool of connections. */
import { callerContext } from "../client/caller-context.ts";
import { withCallers } from "../client/caller-stack.ts";
import type { Body } from "../client/content.ts";
import { Events } from "../client/events.ts";
import type { Delivery } from "../client/outcome.ts";
import type { RcptOptions } from "../core/extensions/extension.ts";
import { showAs } from "../core/inspect.ts";
import type { Options } from "../core/plan.ts";
import type { Refused } from "../core/reply.ts";
import { type Deliver, type DeliveryRequest, deliverBy, sendMessageBy, sendmailBy } from "../facade/delivery.ts";
import type { Message } from "../facade/message.ts";
import { type CallOptions, callSignal } from "../facade/options.ts";
import { type PoolOptions, poolSettings } from "./options.ts";
import { Pool } from "./pool.ts";
import type { PoolStats } from "./stats.ts";

/**
 * Connections to one server, shared by all messages. They are opened when messages come, up to `maxConnections`, used for
 * one message after another, and closed when nothing comes.
 *
 * A message is sent once. It goes by a second connection only if the first was found dead before the content was begun,
 * so that it was certainly not taken; any other failure is reported, with what is known in `delivery`.
 *
 * While no connection can be made for a reason that may pass (refused, reset, timed out, an unknown host, 421, 4yz), or
 * each one dies before a message could be sent on it, messages wait and connecting is tried again for `reconnectFor` seconds. A refusal that another connection would meet as
 * well (credentials, certificate, a missing extension, 5yz) rejects all that waits at once, unless open connections can
 * send it. Until a login has succeeded, one connection signs on and the others wait for it: a wrong password costs one
 * session's login. The next call tries again. An idle pool keeps no process alive.
 *
 * @example
 * ```ts
 * import { SMTPPool } from "smtplib";
 *
 * const pool = new SMTPPool({
 *   host: "mail.example.com",
 *   auth: { user: "user", password: "password" },
 *   maxConnections: 3,
 * });
 * await Promise.all(
 *   ["charles@example.net", "mary@example.net"].map((to) =>
 *     pool.sendmail("ada@example.com", to, "Subject: Hello\n\nHi!\n"),
 *   ),
 * );
 * await pool.close();
 * ```
 */
export class SMTPPool {
  readonly #pool: Pool;
  readonly #events: Events;
  /** True if the options have functions that are called for a connection. */
  readonly #callsBack: boolean;

  /**
   * Opens nothing.
   * @param given - the options; or a URL, `smtp://user:password@host:587`, whose credentials are percent-encoded, and
   * options that count more than what it says
   * @throws {TypeError} or {RangeError} naming the option that is wrong
   */
  constructor(...given: [options: PoolOptions] | [url: string, options?: PoolOptions | undefined]) {
    const [where, options] = given;
    const settings = poolSettings(where, options);
    this.#pool = new Pool(settings);
    this.#events = new Events(settings.smtp.logger, settings.protocol);
    this.#events.endpoint = settings.endpoint;
    this.#callsBack = settings.transport !== undefined || hasFunction(settings.auth?.credentials);
    showAs(this, () => this.#pool.summary);
  }

  /**
   * Sends a message as `SMTP.sendmail()` does; the exceptions are the same, and two of the pool's.
   * @throws {SMTPException} "not-sent" and `temporary`, if `maxQueue` messages wait already
   * @throws {SMTPServerDisconnected} "not-sent", if the pool is closed
   */
  sendmail(
    from_addr: string,
    to_addrs: string | Iterable<string>,
    msg: Body,
    mail_options?: Options,
    rcpt_options?: Options<RcptOptions>,
    call?: CallOptions,
  ): Promise<Refused> {
    return sendmailBy(this.#deliver, msg, { from_addr, to_addrs, mail_options, rcpt_options }, call);
  }

  /**
   * Sends a message as `SMTP.send_message()` does, with the sender and the recipients that its header names.
   * @throws as `sendmail()` does; {RangeError} if an address field cannot be read without guessing
   */
  send_message(
    msg: Message,
    from_addr?: string,
    to_addrs?: string | Iterable<string>,
    mail_options?: Options,
    rcpt_options?: Options<RcptOptions>,
    call?: CallOptions,
  ): Promise<Refused> {
    return sendMessageBy(this.#deliver, msg, { from_addr, to_addrs, mail_options, rcpt_options }, call);
  }

  /**
   * Sends a message as `SMTP.deliver()` does, and gives the whole answer.
   * @throws as `sendmail()` does
   */
  deliver(delivery: DeliveryRequest): Promise<Delivery> {
    return deliverBy(this.#deliver, delivery);
  }

  /**
   * Tries whether mail could be sent: connects, signs on, and says NOOP and QUIT, by a connection of its own. It connects
   * once, whatever `reconnectFor` says; while another connection is the first to log in, it waits, and shares a refusal.
   * @throws what connecting, `starttls()` and `login()` throw
   */
  async check(call?: CallOptions): Promise<void> {
    return await withCallers(this.#pool.check(callSignal(call)));
  }

  /**
   * Resolves when fewer than `maxQueue` messages wait, and keeps a place for the call that follows at once: await it right
   * before each call, from however many places in your code, and the queue never overflows.
   */
  ready(): Promise<void> {
    return this.#pool.backlog.ready();
  }

  /** Resolves when all messages that were taken are settled. The pool stays open. */
  drain(): Promise<void> {
    return this.#pool.backlog.drain();
  }

  /**
   * Takes no more messages, sends those that it has, says QUIT on each connection, and resolves when all are closed; never
   * rejects. Messages that wait for a connection are sent if one can be made within `reconnectFor` seconds, and rejected
   * otherwise. A message of `send_message` whose source is still being read is awaited, without a limit unless
   * `timeouts.total` is set. Each call gives the same promise. To drop everything instead, abort the option `signal`.
   */
  close(): Promise<void> {
    return this.#pool.close();
  }

  /** `await using`: the same as `close()`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Numbers about the pool. */
  get stats(): PoolStats {
    return this.#pool.stats;
  }

  readonly #deliver: Deliver = (request, signal) =>
    this.#events.delivering(request, () => {
      const within = this.#callsBack || this.#events.traceEnabled !== undefined ? callerContext() : undefined;
      return this.#pool.backlog.enter(request, signal, within);
    });
}

/** Whether credentials are code of the caller's: a token function, or a `Mechanism`. */
function hasFunction(credentials: object | undefined): boolean {
  return Object.values(credentials ?? {}).some((part) => typeof part === "function") || "start" in (credentials ?? {});
}
