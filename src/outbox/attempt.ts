/**
 * One attempt to deliver a queued message. If it dies in any of its steps, the next attempt reads from the ticket whether
 * the end of the message may have been sent, and the server's reply.
 */
import type { Delivery } from "../client/outcome.ts";
import { notOffered } from "../core/features.ts";
import type { DeliveryRequest } from "../facade/delivery.ts";
import { type BodyStore, readBody } from "./body-store.ts";
import { answerOf } from "./callbacks.ts";
import {
  afterDelivered,
  afterFailure,
  type Conclusion,
  deferred,
  expired,
  held,
  repeated,
  withinLife,
} from "./conclusion.ts";
import type { Destinations, Sender } from "./destinations.ts";
import { acceptedBefore, delivery as deliveryOf, refusedBefore, textOf } from "./error-fields.ts";
import { type OutboxMessage, recipientsLeft, ticketKey, without } from "./message.ts";
import type { Places } from "./places.ts";
import type { HeldStore } from "./store.ts";
import { storedRefused } from "./stored-reply.ts";
import {
  foundDelivered,
  type Taking,
  type Ticket,
  type TicketAnswer,
  type TicketChange,
  type TicketStore,
  ticketedBody,
} from "./ticket.ts";
import { unlessAborted } from "./unless-aborted.ts";
import type { RetryPolicy } from "./verdict.ts";

/** The question that the policy "ask" puts to its callback. */
export type Question = {
  readonly id: string;
  readonly messageId: string;
  readonly from: string;
  /** The recipients of the attempt whose outcome is unknown. */
  readonly to: readonly string[];
  /** "in-flight": another worker has not reported back. "lost": the connection died before the reply. */
  readonly reason: "in-flight" | "lost";
  /** When the end of the message may have been sent, in milliseconds since 1970. */
  readonly since: number;
};

/** The answer of the callback; "unknown" holds the message and asks again later. */
export type Ask = (question: Question) => Finding | Promise<Finding>;
export type Finding = "delivered" | "not-delivered" | "unknown";

/** The stores, pools and settings that an attempt uses. */
export type AttemptParts = {
  readonly tickets: TicketStore;
  readonly held: HeldStore;
  readonly places: Places;
  readonly destinations: Destinations;
  readonly bodies: BodyStore | undefined;
  readonly policy: RetryPolicy;
  readonly ask: Ask | undefined;
  /** Seconds for which an attempt waits for an answer of the user's functions. */
  readonly callbackTimeout: number;
  /** Seconds for which an attempt may take its ticket: shorter than tickets are kept. */
  readonly longest: number;
  /** Seconds after which an attempt without an answer is taken for dead, by "retry" and "ask". */
  readonly settle: number;
  /** Repeats a step until the store answers. Rejects once the worker must not go on. */
  readonly persist: <T>(step: () => Promise<T>) => Promise<T>;
  /** Hands a held message out at once. */
  readonly wake: (id: string) => Promise<unknown>;
};

/** One attempt. */
export class Attempt {
  readonly #parts: AttemptParts;
  #message: OutboxMessage;
  readonly #key: string;
  readonly #token = crypto.randomUUID();
  readonly #stop: AbortController = new AbortController();
  readonly #leave: AbortController = new AbortController();
  /** Set before the end of the message may be sent. */
  #taking: Promise<Taking> | undefined;
  /** Whether the ticket is there, so that the end of the message may be on its way. */
  #isTaken = false;
  /** True if the attempt was abandoned before it had the ticket: the end of the message is never sent. */
  #isCutShort = false;

  constructor(parts: AttemptParts, message: OutboxMessage) {
    this.#parts = parts;
    this.#message = message;
    this.#key = ticketKey(message);
  }

  /** Stops the attempt, unless it passed the point of no return: then it goes on to its end. */
  stop(reason: unknown): void {
    if (this.#taking === undefined) this.#stop.abort(reason);
  }

  /** Stops the attempt, and does not wait for the server's reply: then the outcome of the message is unknown. */
  abandon(reason: unknown): void {
    this.#isCutShort = !this.#isTaken;
    this.#stop.abort(reason);
  }

  /** Goes on without a sender that heeds no signal. */
  leave(reason: unknown): void {
    this.#leave.abort(reason);
  }

  /**
   * Makes the attempt.
   * @throws what the store throws before anything was sent
   */
  async run(): Promise<Conclusion> {
    if (this.#message.state.over !== undefined) return repeated(this.#message);
    const { ticket, now } = await this.#parts.tickets.read(this.#key);
    const conclusion = ticket === undefined ? await this.#begin(now) : await this.#judge(ticket, now);
    return withinLife(conclusion, this.#message, now);
  }

  async #begin(now: number): Promise<Conclusion> {
    return now > this.#message.expiresAt ? expired(this.#message) : await this.#send(now, undefined);
  }

  /** Another attempt passed the point of no return. */
  async #judge(ticket: Ticket, now: number): Promise<Conclusion> {
    const isNew = this.#learn(ticket);
    if (ticket.answer?.outcome === "delivered") return this.#resolved(ticket.answer);
    // The state has to know before this ticket is given back or replaced.
    if (isNew) return deferred(this.#message, 0, this.#message.state.paid);
    const finding = await this.#finding(ticket, now);
    if (finding === "unknown") return this.#hold(ticket, now);
    if (finding !== "delivered") {
      if (now <= this.#message.expiresAt) return this.#send(now, ticket.token);
      // By "retry" alone, nobody knows that it failed.
      return finding === "retry" ? this.#hold(ticket, now) : expired(this.#message);
    }
    const found = foundDelivered(ticket);
    await this.#parts.tickets.answer(this.#key, ticket.token, found);
    return this.#resolved(found);
  }

  /** The finding of a person or of the callback. "retry": nobody has found anything, and the policy sends it again. */
  async #finding(ticket: Ticket, now: number): Promise<Finding | "retry"> {
    const { policy, settle } = this.#parts;
    if (ticket.answer?.outcome === "unknown" && ticket.answer.found !== undefined) return ticket.answer.found;
    const isDead = ticket.answer !== undefined || now - ticket.at > settle * 1000;
    if (!isDead || policy.unknown === "hold" || policy.unknown === undefined) return "unknown";
    return policy.unknown === "retry" ? "retry" : await this.#asked(ticket);
  }

  async #asked({ at, answer }: Ticket): Promise<Finding> {
    const { id, messageId, from } = this.#message;
    const refused = new Map(answer?.refused);
    const to = recipientsLeft(this.#message).flatMap(({ address }) => (refused.has(address) ? [] : [address]));
    const reason = answer === undefined ? "in-flight" : "lost";
    const ask = () => this.#parts.ask?.({ id, messageId, from, to, reason, since: at });
    try {
      const finding = await answerOf("options.ask", this.#parts.callbackTimeout, ask, this.#stop.signal);
      // Any other result of a callback counts as "unknown", never as "delivered".
      return finding === "delivered" || finding === "not-delivered" ? finding : "unknown";
    } catch {
      // The callback failed, or took too long.
      return "unknown";
    }
  }

  async #resolved(answer: TicketAnswer): Promise<Conclusion> {
    if (this.#message.state.held !== undefined) await this.#parts.held.remove(this.#message.id);
    return afterDelivered(this.#message, answer, this.#parts.policy);
  }

  async #hold(ticket: Ticket, now: number): Promise<Conclusion> {
    const conclusion = held(this.#message, ticket, now);
    if (conclusion.action !== "hold") {
      await this.#parts.held.remove(this.#message.id);
      return conclusion;
    }
    // The answer came meanwhile: read it soon.
    if (!(await this.#parts.tickets.await(this.#key))) return { ...conclusion, after: SOON };
    const { id, messageId } = this.#message;
    const { reason = "in-flight", since = now } = conclusion.state.held ?? {};
    await this.#parts.held.add({ id, messageId, reason, since });
    return conclusion;
  }

  /** @param over - the token of the ticket that the policy replaces */
  async #send(now: number, over: string | undefined): Promise<Conclusion> {
    const { places, held: list } = this.#parts;
    if (this.#stop.signal.aborted) return deferred(this.#message, 0, this.#message.state.paid);
    const place = await places.enter(this.#message, this.#token);
    if (!place.admitted) return deferred(this.#message, place.wait, place.paid);
    const endKeeping = places.keep(place.taken, this.#token);
    try {
      if (this.#message.state.held !== undefined) await list.remove(this.#message.id);
      return await this.#deliver(now + this.#parts.longest * 1000, over);
    } finally {
      endKeeping();
      await places.leave(place.taken, this.#token).catch(() => {});
    }
  }

  async #deliver(notAfter: number, over: string | undefined): Promise<Conclusion> {
    const { destinations, tickets, persist, policy } = this.#parts;
    const take = async (): Promise<Taking> => {
      // A sender that heeds no signal may ask after the attempt was given up.
      if (this.#isCutShort) return "late";
      this.#taking = tickets.take(this.#key, this.#token, { notAfter, over }).then((taking) => {
        this.#isTaken = taking === "taken";
        return taking;
      });
      const taking = await this.#taking;
      return this.#isCutShort ? "late" : taking;
    };
    let answer: TicketAnswer;
    try {
      const octets = await this.#body();
      const request = () => ({ ...this.#request(), body: ticketedBody([octets], take), signal: this.#stop.signal });
      const { destination } = this.#message;
      const delivery = destinations.using(destination, this.#stop.signal, (pool) =>
        deliverSized(pool, request, octets.length),
      );
      const { reply, refused } = await unlessAborted(delivery, this.#leave.signal);
      answer = { outcome: "delivered", code: reply.code, text: reply.message, refused: storedRefused(refused) };
    } catch (error) {
      return this.#failed(error);
    }
    await this.#awaken(await persist(() => tickets.answer(this.#key, this.#token, answer)));
    return afterDelivered(this.#message, answer, policy);
  }

  #body(): Promise<Uint8Array> {
    const { bodies, callbackTimeout } = this.#parts;
    const read = () => readBody(this.#message, bodies);
    return answerOf("options.bodies.get", callbackTimeout, read, this.#stop.signal);
  }

  #request(): Omit<DeliveryRequest, "body"> {
    const { from, options } = this.#message;
    return { ...options, from, to: recipientsLeft(this.#message).map((one) => ({ ...one })) };
  }

  async #failed(error: unknown): Promise<Conclusion> {
    const { tickets, persist, policy } = this.#parts;
    if (this.#taking === undefined) {
      if (this.#stop.signal.aborted) return deferred(this.#message, 0, this.#message.state.paid, error);
      return afterFailure(this.#message, error, policy);
    }
    // The connection may have died while the ticket was asked for.
    const taking = await this.#taking.catch(() => undefined);
    const known = deliveryOf(error);
    if (taking === "refused" || taking === "late") return this.#refused(taking, error);
    const isCutShort = this.#isCutShort && known === undefined;
    if (taking === "taken" && !isCutShort && (known === "unknown" || known === undefined)) {
      const text = textOf(error) ?? "";
      const known = { refused: storedRefused(refusedBefore(error)), accepted: acceptedBefore(error) };
      await persist(() => tickets.answer(this.#key, this.#token, { outcome: "unknown", text, ...known }));
      return this.#unknown();
    }
    await this.#awaken(await persist(() => tickets.giveBack(this.#key, this.#token)));
    // The store failed, or the worker was closed, not the message.
    if (isCutShort) return deferred(this.#message, 0, this.#message.state.paid, error);
    if (taking === undefined) return deferred(this.#message, 5, [], error);
    return afterFailure(this.#message, error, policy);
  }

  /** The body stopped before its end: nothing was sent by this attempt. */
  async #refused(taking: "refused" | "late", error: unknown): Promise<Conclusion> {
    if (taking === "late") return deferred(this.#message, 1, [], error);
    const { ticket, now } = await this.#parts.persist(() => this.#parts.tickets.read(this.#key));
    if (ticket?.answer?.outcome === "delivered") return this.#resolved(ticket.answer);
    return ticket === undefined ? deferred(this.#message, 1, [], error) : this.#hold(ticket, now);
  }

  /** This attempt's own connection died behind the end of the message. */
  async #unknown(): Promise<Conclusion> {
    const { ticket, now } = await this.#parts.persist(() => this.#parts.tickets.read(this.#key));
    if (ticket === undefined) return deferred(this.#message, 1, []);
    this.#learn(ticket);
    const { policy } = this.#parts;
    if (policy.unknown === undefined || policy.unknown === "hold") return this.#hold(ticket, now);
    // Not at once: the server may be in trouble, and a mailbox may show the message later than it was taken.
    const retried = afterFailure(this.#message, LOST, { ...policy, unknown: "retry" });
    if (retried.action === "retry") return retried;
    // No report says that it failed, and nobody sends it again, before a person has found out.
    const { failed } = this.#message.state;
    const held = { reason: "lost", since: ticket.at, checks: 0 } as const;
    return { ...retried, state: { ...retried.state, failed, held } };
  }

  /** Leaves out the recipients that have the message according to the ticket; returns whether the state had some of them. */
  #learn({ answer }: Ticket): boolean {
    if (answer?.outcome !== "unknown") return false;
    const before = recipientsLeft(this.#message).length;
    this.#message = without(this.#message, answer.accepted ?? []);
    return recipientsLeft(this.#message).length < before;
  }

  async #awaken({ awaited }: TicketChange): Promise<void> {
    // The queue hands it out later anyway.
    if (awaited) await this.#parts.wake(this.#message.id).catch(() => {});
  }
}

/** Declares the size where the server offers SIZE. The pool cannot know it from the body, which ends by the ticket. */
async function deliverSized(pool: Sender, request: () => DeliveryRequest, size: number): Promise<Delivery> {
  try {
    return await pool.deliver({ ...request(), size });
  } catch (error) {
    // Nothing was sent, unlike where the server offers SIZE and the message is too large for it.
    if (textOf(error) !== NO_SIZE) throw error;
    return await pool.deliver(request());
  }
}

/** Seconds until a late answer is looked at: not at once, since an answer that cannot be read would be looked at for ever. */
const SOON = 0.5;

const NO_SIZE: string = notOffered("SIZE", "the option size").message;

const LOST: Error = Object.assign(new Error("the connection died before the server's reply to the message"), {
  delivery: "unknown",
});
