/** `SMTPPool`: the sending methods of `SMTP` over a pool of connections. */
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
import { Dispatcher } from "./dispatcher.ts";
import { type PoolOptions, poolSettings } from "./options.ts";
import type { PoolStats } from "./stats.ts";

/**
 * Connections to one server, shared by all messages. The pool opens them when messages arrive, up to `maxConnections`,
 * sends one message after another on each, and closes them when they are idle.
 *
 * A message is sent once. It is sent on a second connection only if the first turned out to be dead before any content
 * was sent, so that the server certainly did not accept it. The pool reports any other failure, with what is known in
 * `delivery`.
 *
 * While no connection can be made for a reason that may pass (refused, reset, timed out, 421, 4yz), or each one is lost
 * before a message could be sent on it, messages wait and the pool keeps trying to connect for `reconnectFor` seconds. A
 * refusal that applies to every connection (credentials, certificate, a missing extension, 5yz) rejects all waiting
 * messages at once, unless open connections can send them; the next call tries again. Until a login succeeds, only one
 * connection logs in and the others wait for it: a wrong password costs one failed login. An idle pool does not keep the
 * process alive.
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
  readonly #dispatcher: Dispatcher;
  readonly #events: Events;
  /** True if opening a connection calls functions of the options. */
  readonly #callsBack: boolean;

  /**
   * Checks the options; opens no connection.
   * @param given - the options; or a URL, `smtp://user:password@host:587`, with percent-encoded credentials, and options,
   * which take precedence over the URL
   * @throws {TypeError} or {RangeError} that names the invalid option
   */
  constructor(...given: [options: PoolOptions] | [url: string, options?: PoolOptions | undefined]) {
    const [where, options] = given;
    const settings = poolSettings(where, options);
    this.#dispatcher = new Dispatcher(settings);
    this.#events = new Events(settings.smtp.logger, settings.protocol);
    this.#events.endpoint = settings.endpoint;
    this.#callsBack = settings.transport !== undefined || hasFunction(settings.auth?.credentials);
    showAs(this, () => this.#dispatcher.summary);
  }

  /**
   * Sends a message as `SMTP.sendmail()` does, with the same exceptions and two more.
   * @throws {SMTPException} "not-sent" and `temporary`, if `maxQueue` messages already wait
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
   * Sends a message as `SMTP.send_message()` does, to the recipients in its header.
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
   * Sends a message as `SMTP.deliver()` does; resolves with all replies.
   * @throws as `sendmail()` does
   */
  deliver(delivery: DeliveryRequest): Promise<Delivery> {
    return deliverBy(this.#deliver, delivery);
  }

  /**
   * Tests whether mail can be sent: connects, logs in, and sends NOOP and QUIT on a connection of its own. It connects
   * only once, whatever `reconnectFor` is. While another connection is the first to log in, `check()` waits for it and
   * rejects with the same refusal.
   * @throws what connecting, `starttls()` and `login()` throw
   */
  async check(call?: CallOptions): Promise<void> {
    return await withCallers(this.#dispatcher.check(callSignal(call)));
  }

  /**
   * Resolves when fewer than `maxQueue` messages wait, and reserves a place for a call that follows immediately. If each
   * call awaits it first, from any number of places in your code, the queue never overflows.
   */
  ready(): Promise<void> {
    return this.#dispatcher.queue.ready();
  }

  /** Resolves when all messages are settled. The pool stays open. */
  drain(): Promise<void> {
    return this.#dispatcher.queue.drain();
  }

  /**
   * Accepts no more messages, sends those it has, sends QUIT on each connection, and resolves when all are closed; never
   * rejects. Messages that wait for a connection are sent if one can be made within `reconnectFor` seconds, and rejected
   * otherwise. The pool waits for a message of `send_message` whose source is still being read, without a limit unless
   * `timeouts.total` is set. Each call returns the same promise. To drop everything instead, abort the option `signal`.
   */
  close(): Promise<void> {
    return this.#dispatcher.close();
  }

  /** `await using`: the same as `close()`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** The current counts of connections and messages. */
  get stats(): PoolStats {
    return this.#dispatcher.stats;
  }

  readonly #deliver: Deliver = (request, signal) =>
    this.#events.delivering(request, () => {
      const within = this.#callsBack || this.#events.traceEnabled !== undefined ? callerContext() : undefined;
      return this.#dispatcher.queue.enqueue(request, signal, within);
    });
}

/** Whether credentials contain code of the caller: a token function, or a `Mechanism`. */
function hasFunction(credentials: object | undefined): boolean {
  return Object.values(credentials ?? {}).some((part) => typeof part === "function") || "start" in (credentials ?? {});
}
