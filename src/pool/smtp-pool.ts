/** `SMTPPool` as the package exports it: small, because everything that it does is loaded with the first pool. */

import type { Delivery } from "../client/outcome.ts";
import { type Body, heardOf } from "../client/source.ts";
import type { RcptOptions } from "../core/extensions/extension.ts";
import type { Options } from "../core/plan.ts";
import type { Refused } from "../core/reply.ts";
import type { DeliveryRequest } from "../facade/delivery.ts";
import type { Message } from "../facade/message.ts";
import type { CallOptions } from "../facade/options.ts";
import type { Engine } from "./engine.ts";
import type { PoolOptions } from "./options.ts";
import type { PoolStats } from "./stats.ts";

/** What `SMTP.sendmail()` takes. */
export type SendmailArguments = [
  from_addr: string,
  to_addrs: string | Iterable<string>,
  msg: Body,
  mail_options?: Options | undefined,
  rcpt_options?: Options<RcptOptions> | undefined,
  call?: CallOptions | undefined,
];

/** What `SMTP.send_message()` takes. */
export type SendMessageArguments = [
  msg: Message,
  from_addr?: string | undefined,
  to_addrs?: string | Iterable<string> | undefined,
  mail_options?: Options | undefined,
  rcpt_options?: Options<RcptOptions> | undefined,
  call?: CallOptions | undefined,
];

/**
 * Connections to one server, shared by all messages. They are opened when messages come, up to `maxConnections`, used for
 * one message after another, and closed when nothing comes.
 *
 * A message is sent once. It goes by a second connection only if the first was found dead before the content was begun,
 * so that it was certainly not taken; any other failure is reported, with what is known in `delivery`.
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
  readonly #loading: Promise<Engine>;
  #engine: Engine | undefined;
  #closing: Promise<void> | undefined;

  /**
   * Opens nothing. What is wrong with the options, a `TypeError` or `RangeError`, is thrown by the first method.
   * @param given - the options; or a URL, `smtp://user:password@host:587`, whose credentials are percent-encoded, and
   * options that count more than what it says
   */
  constructor(...given: [options: PoolOptions] | [url: string, options?: PoolOptions | undefined]) {
    const [where, options] = copied(given);
    this.#loading = import("./engine.ts").then(({ Engine }) => {
      this.#engine = new Engine(where, options);
      return this.#engine;
    });
    this.#loading.catch(() => {});
  }

  /**
   * Sends a message as `SMTP.sendmail()` does; the exceptions are the same, and two of the pool's.
   * @throws {SMTPException} "not-sent" and `temporary`, if `maxQueue` messages wait already
   * @throws {SMTPServerDisconnected} "not-sent", if the pool is closed
   */
  sendmail(...message: SendmailArguments): Promise<Refused> {
    if (this.#engine !== undefined) return this.#engine.sendmail(...message);
    const own = copied(message);
    heardOf(own[2]);
    return this.#loading.then((engine) => engine.sendmail(...own));
  }

  /**
   * Sends a message as `SMTP.send_message()` does, with the sender and the recipients that its header names.
   * @throws as `sendmail()` does; {RangeError} if an address field cannot be read without guessing
   */
  send_message(...message: SendMessageArguments): Promise<Refused> {
    if (this.#engine !== undefined) return this.#engine.send_message(...message);
    const own = copied(message);
    return this.#loading.then((engine) => engine.send_message(...own));
  }

  /**
   * Sends a message as `SMTP.deliver()` does, and gives the whole answer.
   * @throws as `sendmail()` does
   */
  deliver(delivery: DeliveryRequest): Promise<Delivery> {
    if (this.#engine !== undefined) return this.#engine.deliver(delivery);
    const own = copied(delivery);
    heardOf(own?.body);
    return this.#loading.then((engine) => engine.deliver(own));
  }

  /**
   * Tries whether mail could be sent: connects, signs on, and says NOOP and QUIT, by a connection of its own.
   * @throws what connecting, `starttls()` and `login()` throw
   */
  async check(call?: CallOptions): Promise<void> {
    return (await this.#loading).check(call);
  }

  /**
   * Resolves when fewer than `maxQueue` messages wait, and keeps a place for the call that follows at once: await it right
   * before each call, from however many places in your code, and the queue never overflows.
   */
  async ready(): Promise<void> {
    return (await this.#loading).ready();
  }

  /** Resolves when all messages that were taken are settled. The pool stays open. */
  async drain(): Promise<void> {
    return (await this.#loading).drain();
  }

  /**
   * Takes no more messages, sends those that it has, says QUIT on each connection, and resolves when all are closed; never
   * rejects. Each call gives the same promise. To drop everything instead, abort the option `signal`.
   */
  close(): Promise<void> {
    this.#closing ??= this.#loading.then(
      (engine) => engine.close(),
      () => {},
    );
    return this.#closing;
  }

  /** `await using`: the same as `close()`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Numbers about the pool: all zero until it has begun to work. */
  get stats(): PoolStats {
    return this.#engine?.stats ?? NOTHING_YET;
  }
}

const NOTHING_YET: PoolStats = {
  connections: 0,
  connecting: 0,
  idle: 0,
  active: 0,
  limit: 0,
  queued: 0,
  sending: 0,
  sent: 0,
  failed: 0,
  retried: 0,
};

/** What was given is the caller's again as soon as the call is made: lists and options are copied, also within each other. */
function copied<T>(given: T, depth?: number): T;
function copied(given: unknown, depth = 4): unknown {
  if (depth === 0) return given;
  if (Array.isArray(given)) return given.map((one) => copied(one, depth - 1));
  if (given?.constructor !== Object) return given;
  const copy: Record<string, unknown> = { ...given };
  for (const name in copy) copy[name] = copied(copy[name], depth - 1);
  return copy;
}
