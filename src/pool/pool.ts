/** `SMTPPool`: the sending methods of `SMTP` over a pool of connections. */
import { callerContext } from "../client/caller-context.ts";
import { withCallers } from "../client/caller-stack.ts";
import { Events } from "../client/events.ts";
import { showAs } from "../core/inspect.ts";
import { type Deliver, reporting } from "../facade/delivery.ts";
import { type CallOptions, callSignal } from "../facade/options.ts";
import { Sender } from "../facade/sender.ts";
import { Dispatcher } from "./dispatcher.ts";
import { type PoolOptions, type PoolSettings, poolSettings } from "./options.ts";
import type { PoolStats } from "./stats.ts";

/**
 * Connections to one server, shared by all messages. The pool opens them when messages arrive, up to `maxConnections`,
 * sends one message after another on each, and closes them when they are idle.
 *
 * A message is sent once. It is sent on a second connection only if the first turned out to be dead before any content
 * was sent, so that the server certainly did not accept it. The pool reports any other failure, with the outcome in
 * `delivery`. A call rejects with a temporary `SMTPException` if `maxQueue` messages already wait, and with
 * `SMTPServerDisconnected` after `close()`.
 *
 * While connections fail for a temporary reason (refused, reset, timed out, 421, 4yz), or each one is lost before a
 * message could be sent on it, messages wait and the pool keeps trying to connect for `reconnectFor` seconds. A refusal
 * that applies to every connection (credentials, certificate, a missing extension, 5yz) rejects all waiting messages at
 * once, unless open connections can send them; the next call tries again. Until a login succeeds, only one connection
 * logs in and the others wait for it: a wrong password costs one failed login. An idle pool does not keep the process
 * alive.
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
export class SMTPPool extends Sender {
  readonly #dispatcher: Dispatcher;

  /**
   * Checks the options; opens no connection.
   * @param given - the options; or a URL, `smtp://user:password@host:587`, with percent-encoded credentials, and
   * options, which take precedence over the URL
   * @throws {TypeError} or {RangeError} naming the invalid option
   */
  constructor(...given: [options: PoolOptions] | [url: string, options?: PoolOptions | undefined]) {
    const [where, options] = given;
    const settings = poolSettings(where, options);
    const dispatcher = new Dispatcher(settings);
    super(delivererOf(dispatcher, settings));
    this.#dispatcher = dispatcher;
    showAs(this, () => this.#dispatcher.summary);
  }

  /**
   * Tests whether mail can be sent: connects, logs in, and sends NOOP and QUIT on a connection of its own. It connects
   * only once, whatever `reconnectFor` is. While another connection is the first to log in, `check()` waits for it and
   * rejects with the same refusal.
   * @throws the errors of connecting, `starttls()` and `login()`
   */
  async check(call?: CallOptions): Promise<void> {
    return await withCallers(this.#dispatcher.check(callSignal(call)));
  }

  /**
   * Resolves when fewer than `maxQueue` messages wait, and reserves a place for a call that follows at once. If each
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
   * Accepts no more messages, sends those it has, sends QUIT on each connection, and resolves when all are closed.
   * Never rejects. Messages that wait for a connection are sent if one can be made within `reconnectFor` seconds,
   * otherwise rejected. The pool waits for a message of `send_message` whose source is still being read, without a
   * limit unless `timeouts.total` is set. Each call returns the same promise. To drop everything instead, abort the
   * option `signal`.
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
}

/** Sends messages by a dispatcher, and reports them to the pool's events. */
function delivererOf(dispatcher: Dispatcher, settings: PoolSettings): Deliver {
  const { smtp, protocol, endpoint, transport, auth } = settings;
  const events = new Events(smtp.logger, protocol);
  events.endpoint = endpoint;
  // Opening a connection calls these functions of the options, in the context of a call.
  const hasCallbacks = transport !== undefined || hasFunction(auth?.credentials);
  const deliver: Deliver = (request, signal, read) => {
    const within = hasCallbacks || events.traceEnabled !== undefined ? callerContext() : undefined;
    return dispatcher.queue.enqueue(request, signal, read, within);
  };
  return reporting(deliver, events);
}

/** Whether credentials contain code of the caller: a token function, or a `Mechanism`. */
function hasFunction(credentials: object | undefined): boolean {
  return Object.values(credentials ?? {}).some((part) => typeof part === "function") || "start" in (credentials ?? {});
}
