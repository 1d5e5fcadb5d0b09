/** The part of an outbox that is the same on each queue: it makes messages, attempts and reports. */
import { hex } from "../core/bytes.ts";
import { Attempt, type AttemptParts } from "./attempt.ts";
import { type BodyStore, inlineBody, readBody, type StoredBody } from "./body-store.ts";
import { timedBodies } from "./callbacks.ts";
import { infoOf, publish } from "./channels.ts";
import { checkText } from "./checks.ts";
import type { Conclusion } from "./conclusion.ts";
import { inTime } from "./in-time.ts";
import {
  checkEnvelope,
  FRESH,
  identified,
  mailboxOf,
  type OutboxEnvelope,
  type OutboxMessage,
  ticketKey,
  VERSION,
} from "./message.ts";
import { checkEnqueueOptions, type EnqueueOptions, type OutboxSettings, timesOf } from "./options.ts";
import { Places } from "./places.ts";
import { buildReport, loadMimeNode, reportable, reportHost } from "./report.ts";
import type { OutboxStore } from "./store.ts";

/** Milliseconds for which a report is tried after its message has expired. */
const LAST_DAY = 86_400_000;

/** Seconds for which an attempt may take its ticket at least, however short `retention` is. */
const LEAST = 3600;

/** A message and when the queue hands it out. */
export type QueuedMessage = {
  readonly message: OutboxMessage;
  /** Milliseconds since 1970. */
  readonly from: number;
};

/** A message whose body is not stored yet. */
type Draft = Omit<QueuedMessage, "message"> & { readonly message: Omit<OutboxMessage, "body"> };

/** The result of `enqueue()`. */
export type Enqueued = {
  /**
   * In angle brackets; the same in all attempts. Where nothing was added, since the key is known, that of the message that
   * was queued under it.
   */
  readonly messageId: string;
  /** A job for each destination. */
  readonly jobs: readonly { readonly id: string; readonly destination: string; readonly added: boolean }[];
};

/**
 * The queue did not answer in time, or refused. The message may have been queued all the same: with an idempotency key the
 * call can be repeated safely.
 */
export class OutboxUnavailableError extends Error {
  override readonly name: string = "OutboxUnavailableError";
}

/** Messages of the same name that were there before: their Message-IDs by their names; undefined: it cannot be read. */
export type Twins = ReadonlyMap<string, string | undefined>;

/** How messages come into a queue. */
export type Inserter = {
  /** Waits until the queue can be used, and looks for messages that are there already. Adds nothing. */
  known(messages: readonly QueuedMessage[], signal: AbortSignal): Promise<Twins>;
  /** Adds messages. Where this fails, nobody knows which of them are in the queue. */
  add(messages: readonly QueuedMessage[]): Promise<Twins>;
};

/** One outbox. */
export class Outbox {
  readonly settings: OutboxSettings;
  readonly store: OutboxStore;
  readonly #queue: string;
  readonly #places: Places;
  readonly #bodies: BodyStore | undefined;
  readonly #trouble: () => Error | undefined;

  /**
   * @param queue - the queue's name, and where it is: several queues may share a store
   * @param trouble - why the queue does not answer, if that is known; no credentials
   */
  constructor(
    settings: OutboxSettings,
    store: OutboxStore,
    queue: string,
    trouble = (): Error | undefined => undefined,
  ) {
    this.settings = settings;
    this.#trouble = trouble;
    this.#queue = queue;
    this.store = store;
    this.#bodies = settings.bodies && timedBodies(settings.bodies, settings.callbackTimeout);
    this.#places = new Places(store.budgets, settings.budgets, settings.policy.random);
  }

  /**
   * Queues a message.
   * @throws {TypeError} or {RangeError} naming the argument that is wrong
   * @throws {OutboxUnavailableError} if the queue or the store of bodies does not answer within `timeout`; with a key the
   * call can be repeated safely
   */
  async enqueue(envelope: OutboxEnvelope, body: unknown, options: EnqueueOptions, queue: Inserter): Promise<Enqueued> {
    checkEnqueueOptions(options);
    const { octets, messageId } = identified(body, String(envelope?.from));
    const { from, to, options: mail } = checkEnvelope(envelope, octets);
    const now = Date.now();
    const times = timesOf(options, this.settings.lifetime, now);
    const { key = crypto.randomUUID(), tenant, priority = 0 } = options;
    const groups = grouped(to, ({ address }) => this.#destinationOf(address));
    const dates = { queuedAt: now, expiresAt: times.until };
    const common = {
      version: VERSION,
      messageId,
      from,
      options: mail,
      tenant,
      ...dates,
      octets: octets.length,
    } as const;
    const drafts: Draft[] = [];
    for (const [destination, to] of groups) {
      const id = await idOf([this.#queue, tenant ?? "", key, destination]);
      const message = { ...common, priority, id, nonce: crypto.randomUUID(), to, destination, state: FRESH };
      drafts.push({ message, from: times.from });
    }
    const { messages, twins } = await this.#within((signal) => this.#add(drafts, octets, queue, signal));
    const jobs = await this.#announce(messages, twins);
    const known = twins.size === jobs.length ? [...twins.values()].find((id) => id !== undefined) : undefined;
    return { messageId: known ?? messageId, jobs };
  }

  /**
   * Checks that the modules that workers need are installed.
   * @throws {Error} if there are to be reports and nodemailer is not installed
   */
  async prepare(): Promise<void> {
    if (this.settings.report !== undefined) await loadMimeNode();
  }

  /** An attempt of a message. */
  attempt(message: OutboxMessage, parts: Pick<AttemptParts, "persist" | "wake" | "destinations">): Attempt {
    const { policy, ask, settle, bodies, callbackTimeout } = this.settings;
    const { tickets, held } = this.store;
    return new Attempt(
      {
        ...parts,
        tickets,
        held,
        places: this.#places,
        bodies,
        policy,
        ask,
        callbackTimeout,
        settle,
        longest: this.#longest,
      },
      message,
    );
  }

  /** Pauses the destination of an attempt whose server is overloaded. */
  async follow({ destination }: OutboxMessage, { slowDown }: Conclusion): Promise<void> {
    if (slowDown <= 0) return;
    // Without it, the next message meets the same reply.
    await this.#places.pause(destination, slowDown).catch(() => {});
  }

  /**
   * The report to the sender that a state asks for, as a message of its own; undefined if none, or if its body could not be
   * stored for a day after the message had expired.
   * @throws what the store of bodies throws
   */
  async reportOf(message: OutboxMessage): Promise<QueuedMessage | undefined> {
    try {
      return await this.#report(message);
    } catch (error) {
      if (Date.now() < message.expiresAt + LAST_DAY) throw error;
      return undefined;
    }
  }

  async #report(message: OutboxMessage): Promise<QueuedMessage | undefined> {
    const { report, lifetime } = this.settings;
    const failures = reportable(message);
    if (report === undefined || failures.length === 0) return undefined;
    const original = await readBody(message, this.#bodies).catch(() => undefined);
    const { octets, messageId } = identified(
      await buildReport(message, failures, original, report),
      `@${reportHost(report)}`,
    );
    const now = Date.now();
    const id = await idOf(reportParts(message));
    const common = { version: VERSION, id, messageId, from: "", to: [{ address: message.from }], options: {} } as const;
    const more = {
      destination: this.#destinationOfSender(message),
      tenant: message.tenant,
      octets: octets.length,
      state: FRESH,
    };
    const dates = { queuedAt: now, expiresAt: now + lifetime * 1000 };
    return { message: { ...common, ...more, ...dates, body: await this.#store(octets, id) }, from: now };
  }

  /** Forgets what a settled message no longer needs: its body, and later its tickets. */
  async settle(message: OutboxMessage): Promise<void> {
    const { retention } = this.settings;
    const { state } = message;
    const rounds = Array.from({ length: state.round + 1 }, (_, round) =>
      ticketKey({ ...message, state: { ...state, round } }),
    );
    // A worker may have died between its entry in the list and the state that says so.
    const listed = this.store.held.remove(message.id).catch(() => {});
    // If this fails, the store deletes the tickets later; the body stays.
    const seconds = Math.max(retention, 2 * this.#longest);
    await Promise.all(rounds.map((key) => this.store.tickets.forget(key, seconds))).catch(() => {});
    await this.#removeBody(message.body);
    await listed;
  }

  /**
   * Waits for an answer of the queue.
   * @throws {OutboxUnavailableError} if something does not answer within the option `timeout`
   */
  answered<T>(
    step: () => Promise<T>,
    signal: AbortSignal | undefined,
    trouble: () => Error | undefined = this.#trouble,
  ): Promise<T> {
    return inTime({ seconds: this.settings.timeout, late: () => this.#unavailable("", trouble()), signal }, step);
  }

  /** Seconds for which an attempt may take its ticket; a used ticket is kept twice as long. */
  get #longest(): number {
    return Math.max(this.settings.retention / 2, LEAST);
  }

  /** @param name - that of a report is the same each time it is made */
  async #store(octets: Uint8Array, name: string = crypto.randomUUID()): Promise<StoredBody> {
    const bodies = this.#bodies;
    if (bodies === undefined || octets.length <= this.settings.inline) return inlineBody(octets);
    try {
      await bodies.put(name, octets);
    } catch (error) {
      // It may have been written all the same.
      await this.#removeBody({ name });
      throw error;
    }
    return { name };
  }

  /**
   * Stores the bodies and adds the messages to the queue. Where it fails before the queue is asked to take them, or the
   * call was rejected by then, the bodies go.
   */
  async #add(
    drafts: readonly Draft[],
    octets: Uint8Array,
    queue: Inserter,
    signal: AbortSignal,
  ): Promise<{ readonly messages: readonly QueuedMessage[]; readonly twins: Twins }> {
    const messages: QueuedMessage[] = [];
    let known: Twins;
    try {
      for (const { message, ...when } of drafts) {
        messages.push({ message: { ...message, body: await this.#store(octets) }, ...when });
      }
      known = await queue.known(messages, signal);
      signal.throwIfAborted();
    } catch (error) {
      await Promise.all(messages.map(({ message }) => this.#removeBody(message.body)));
      throw error;
    }
    const others = messages.filter(({ message }) => !known.has(message.id));
    const added = others.length === 0 ? [] : await queue.add(others);
    return { messages, twins: new Map([...known, ...added]) };
  }

  async #announce(messages: readonly QueuedMessage[], twins: Twins): Promise<Enqueued["jobs"]> {
    const jobs: Enqueued["jobs"][number][] = [];
    for (const { message } of messages) {
      const isNew = !twins.has(message.id);
      jobs.push({ id: message.id, destination: message.destination, added: isNew });
      if (isNew) publish("smtplib:outbox:enqueue", () => ({ message: infoOf(message) }));
      else await this.#removeBody(message.body);
    }
    return jobs;
  }

  async #removeBody(body: StoredBody): Promise<void> {
    if ("name" in body) await this.#bodies?.delete(body.name).catch(() => {});
  }

  /** The sender is no recipient that `enqueue()` could refuse: a report has to go somewhere. */
  #destinationOfSender({ from, destination }: OutboxMessage): string {
    try {
      return this.#destinationOf(from);
    } catch {
      return destination;
    }
  }

  #destinationOf(address: string): string {
    const destination: unknown = this.settings.destinationOf(mailboxOf(address));
    const where = "the result of options.destinationOf";
    if (destination === "") throw new RangeError(`${where} must be a name, and is empty`);
    checkText(destination, where);
    return destination;
  }

  async #within<T>(step: (signal: AbortSignal) => Promise<T>): Promise<T> {
    try {
      return await inTime(
        { seconds: this.settings.timeout, late: () => this.#unavailable(REPEAT, this.#trouble()) },
        step,
      );
    } catch (cause) {
      if (cause instanceof OutboxUnavailableError) throw cause;
      throw new OutboxUnavailableError(`the message could not be queued${REPEAT}`, { cause });
    }
  }

  #unavailable(advice: string, cause: Error | undefined): OutboxUnavailableError {
    const text = `the queue did not answer within ${this.settings.timeout} seconds${advice}`;
    return new OutboxUnavailableError(text, cause && { cause });
  }
}

const REPEAT = "; with a key the call can be repeated safely, since the message may have been queued all the same";

/** The parts of a report's name, which differ between reports about the same message: each redrive may add one. */
function reportParts({ id, nonce = "", state }: OutboxMessage): string[] {
  const counts = [state.attempts, state.round, state.redrives, state.told].map(String);
  return ["report", id, nonce, ...counts];
}

/** A name in the form of a UUID (version 8, RFC 9562), which both queues take: the same parts give the same name. */
export async function idOf(parts: readonly string[]): Promise<string> {
  const text = new TextEncoder().encode(parts.map((part) => `${part.length}:${part}`).join(","));
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", text));
  const digits = hex(hash.subarray(0, 16));
  const variant = (8 + (Number.parseInt(digits[16] ?? "0", 16) % 4)).toString(16);
  return [
    digits.slice(0, 8),
    digits.slice(8, 12),
    `8${digits.slice(13, 16)}`,
    variant + digits.slice(17, 20),
    digits.slice(20),
  ].join("-");
}

function grouped<T>(list: readonly T[], of: (one: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const one of list) {
    const name = of(one);
    const group = groups.get(name);
    if (group === undefined) groups.set(name, [one]);
    else group.push(one);
  }
  return groups;
}
