/** What `SMTPPool` does, loaded when the first pool is made: the sending methods, with the arguments of `SMTP`'s. */
import { Events } from "../client/events.ts";
import { lazy } from "../client/lazy.ts";
import { type Delivery, plainDelivery } from "../client/outcome.ts";
import { type Body, type Content, contentOf, discard } from "../client/source.ts";
import type { RcptOptions } from "../core/extensions/extension.ts";
import type { Options } from "../core/plan.ts";
import type { Refused } from "../core/reply.ts";
import { type DeliveryRequest, type Request, requestOf } from "../facade/delivery.ts";
import type { Message } from "../facade/message.ts";
import { type CallOptions, callSignal, checkObject, checkSignal } from "../facade/options.ts";
import { poolSettings } from "./options.ts";
import { Pool } from "./pool.ts";
import type { PoolStats } from "./stats.ts";

/** A pool; the methods are those of `SMTPPool`. */
export class Engine {
  readonly #pool: Pool;
  readonly #events: Events;

  /** @throws {TypeError} or {RangeError} naming what is wrong with the options */
  constructor(where: unknown, options: unknown) {
    const settings = poolSettings(where, options);
    this.#pool = new Pool(settings);
    this.#events = new Events(settings.smtp.logger, settings.protocol);
    this.#events.endpoint = settings.endpoint;
  }

  get stats(): PoolStats {
    return this.#pool.stats;
  }

  async sendmail(
    from_addr: string,
    to_addrs: string | Iterable<string>,
    msg: Body,
    mail_options?: Options,
    rcpt_options?: Options<RcptOptions>,
    call?: CallOptions,
  ): Promise<Refused> {
    const content = contentOf(msg, "msg");
    const envelope = { from_addr, to_addrs, mail_options, rcpt_options };
    const { refused } = await this.#send(content, callSignal(call), () => requestOf(envelope, content));
    return refused;
  }

  async send_message(
    msg: Message,
    from_addr?: string,
    to_addrs?: string | Iterable<string>,
    mail_options?: Options,
    rcpt_options?: Options<RcptOptions>,
    call?: CallOptions,
  ): Promise<Refused> {
    const envelope = { from_addr, to_addrs, mail_options, rcpt_options };
    const signal = callSignal(call);
    const request = messages(({ requestOfMessage }) => requestOfMessage(msg, envelope));
    const { refused } = await this.#enter(request, signal);
    return refused;
  }

  async deliver(delivery: DeliveryRequest): Promise<Delivery> {
    checkObject(delivery, "delivery");
    // What was given is the caller's again as soon as the call is made.
    const copy = { ...delivery };
    if (Array.isArray(copy.to)) copy.to = [...copy.to];
    const signal = checkSignal(copy.signal, "signal");
    const request = deliveries(({ requestOfDelivery }) => requestOfDelivery(copy));
    const delivered =
      request instanceof Promise ? this.#enter(request, signal) : this.#send(request.content, signal, () => request);
    return plainDelivery(await delivered);
  }

  async check(call?: CallOptions): Promise<void> {
    return this.#pool.check(callSignal(call));
  }

  ready(): Promise<void> {
    return this.#pool.backlog.ready();
  }

  drain(): Promise<void> {
    return this.#pool.backlog.drain();
  }

  close(): Promise<void> {
    return this.#pool.close();
  }

  /** A body that was not taken is given back before its failure is told. */
  async #send(
    content: Content,
    signal: AbortSignal | undefined,
    prepare: () => Request | Promise<Request>,
  ): Promise<Delivery> {
    try {
      return await this.#enter(prepare(), signal);
    } catch (error) {
      await discard(content);
      throw error;
    }
  }

  #enter(request: Request | Promise<Request>, signal: AbortSignal | undefined): Promise<Delivery> {
    return this.#events.delivering(request, () => this.#pool.backlog.enter(request, signal));
  }
}

const messages = lazy(() => import("../facade/message.ts"));
const deliveries = lazy(() => import("../facade/delivery-request.ts"));
