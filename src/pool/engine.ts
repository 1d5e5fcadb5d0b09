/** What `SMTPPool` does, loaded when the first pool is made: the sending methods, with the arguments of `SMTP`'s. */
import { Events } from "../client/events.ts";
import { lazy } from "../client/lazy.ts";
import { type Delivery, plainDelivery } from "../client/outcome.ts";
import { type Body, heardOf } from "../client/source.ts";
import type { RcptOptions } from "../core/extensions/extension.ts";
import type { Options } from "../core/plan.ts";
import type { Refused } from "../core/reply.ts";
import { type Deliver, type DeliveryRequest, givingBack, sendmailBy } from "../facade/delivery.ts";
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

  sendmail(
    from_addr: string,
    to_addrs: string | Iterable<string>,
    msg: Body,
    mail_options?: Options,
    rcpt_options?: Options<RcptOptions>,
    call?: CallOptions,
  ): Promise<Refused> {
    return sendmailBy(this.#enter, msg, { from_addr, to_addrs, mail_options, rcpt_options }, call);
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
    heardOf(copy.body);
    const signal = checkSignal(copy.signal, "signal");
    const request = deliveries(({ requestOfDelivery }) => requestOfDelivery(copy));
    const delivered = new Promise<Delivery>((resolve) => resolve(this.#enter(request, signal)));
    return givingBack(request, delivered).then(plainDelivery);
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

  readonly #enter: Deliver = (request, signal) =>
    this.#events.delivering(request, () => this.#pool.backlog.enter(request, signal));
}

const messages = lazy(() => import("../facade/message.ts"));
const deliveries = lazy(() => import("../facade/delivery-request.ts"));
