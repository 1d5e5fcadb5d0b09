/** An outbox on BullMQ, and so on Redis. */
import { checkObject } from "../facade/options.ts";
import { type BullmqConnection, connectionOf, withoutCommand, withoutCommands } from "./bullmq-connection.ts";
import { BullmqStates, type Lock } from "./bullmq-state.ts";
import { type BullJob, BullmqWorker, type BullWorker, loadBullmq } from "./bullmq-worker.ts";
import { checkId, checkMethods, checkRange } from "./checks.ts";
import type { Conclusion } from "./conclusion.ts";
import { type DeadLetter, deadLetterOf, redriven, revived } from "./dead-letters.ts";
import { field, textOf } from "./error-fields.ts";
import { type OutboxEnvelope, type OutboxMessage, readMessage, UnknownMessageError, untold } from "./message.ts";
import { checkStore, checkWorkOptions, type EnqueueOptions, type OutboxOptions, outboxSettings } from "./options.ts";
import { type Enqueued, Outbox, type QueuedMessage, type Twins } from "./outbox.ts";
import { redisStore } from "./redis-store.ts";
import { resolveTicket } from "./resolve.ts";
import type { HeldMessage, OutboxStore } from "./store.ts";
import { Attempts, ClaimLostError, type OutboxWorker, outboxWorker, STORE_GONE, type WorkOptions } from "./worker.ts";

/** A `Queue` of BullMQ, as far as it is used. */
export type BullQueue = {
  readonly name: string;
  readonly opts: { readonly connection?: unknown; readonly prefix?: string | undefined };
  addBulk(jobs: { name: string; data: object; opts: object }[]): Promise<unknown>;
  getJob(id: string): Promise<BullJob | undefined>;
  getFailed(start?: number, end?: number): Promise<BullJob[]>;
  getBackend(): unknown;
  /** The key of a job in Redis. */
  toKey?(name: string): string;
};

/** Options of an outbox on BullMQ. */
export type BullmqOutboxOptions = OutboxOptions & {
  /** Where tickets, budgets and the list of held messages are. Default: the queue's own Redis. */
  store?: OutboxStore | undefined;
};

/** Options of a worker on BullMQ. */
export type BullmqWorkOptions = WorkOptions & {
  /** Options of BullMQ's `Worker`: `connection`, `lockDuration`, `stalledInterval` and others. */
  worker?: Readonly<Record<string, unknown>> | undefined;
};

/**
 * Makes an outbox of a queue. Use the queue for nothing else.
 * @throws {TypeError} or {RangeError} naming the option that is wrong
 * @example
 * ```ts
 * import { Queue } from "bullmq";
 * import { bullmqOutbox } from "smtplib/outbox";
 *
 * const queue = new Queue("mail", { connection: { host: "127.0.0.1", port: 6379 } });
 * const outbox = bullmqOutbox(queue, { connect: () => ({ host: "mail.example.com", port: 587 }) });
 * await outbox.enqueue(
 *   { from: "ada@example.com", to: ["charles@example.net"] },
 *   "Subject: Hello\n\nHi!\n",
 *   { key: "order-17-confirmation" },
 * );
 * const worker = await outbox.work({ concurrency: 20 });
 * await worker.close();
 * await queue.close();
 * ```
 */
export function bullmqOutbox(queue: BullQueue, options: BullmqOutboxOptions): BullmqOutbox {
  return new BullmqOutbox(queue, options);
}

/** An outbox on BullMQ. */
export class BullmqOutbox {
  readonly #queue: BullQueue;
  readonly #connection: BullmqConnection;
  readonly #outbox: Outbox;
  readonly #states: BullmqStates;

  constructor(queue: BullQueue, options: BullmqOutboxOptions) {
    const settings = outboxSettings(options, ["store"]);
    checkStore(options.store);
    checkMethods(queue, ["addBulk", "getJob", "getFailed", "getBackend"], "queue");
    checkObject(queue.opts, "queue.opts");
    this.#queue = queue;
    const connection = connectionOf(queue.getBackend());
    this.#connection = connection;
    this.#states = new BullmqStates(queue.toKey?.bind(queue), () => connection.scriptsIfAny());
    const { prefix = "bull" } = queue.opts;
    const store = options.store ?? redisStore(connection.scripts, { prefix: `${prefix}-outbox:${queue.name}` });
    this.#outbox = new Outbox(settings, store, `${prefix}:${queue.name}`, () => connection.trouble);
  }

  /**
   * Queues a message. Once it resolves, the message is in Redis.
   * @param body - a whole message of RFC 5322; a Message-ID is added where it has none
   * @throws {TypeError} or {RangeError} naming the argument that is wrong
   * @throws {OutboxUnavailableError} if Redis or the store of bodies does not answer within `timeout`. The message may have
   * been queued all the same: with a key the call can be repeated safely
   */
  enqueue(envelope: OutboxEnvelope, body: string | Uint8Array, options: EnqueueOptions = {}): Promise<Enqueued> {
    return this.#outbox.enqueue(envelope, body, options, {
      known: async (_, signal) => {
        // ioredis would keep the command in its memory, and send it when the call was rejected long ago.
        await this.#connection.ready(signal);
        return new Map();
      },
      add: (messages) => this.#insert(messages, options.key !== undefined),
    });
  }

  /**
   * Starts a worker in this process.
   * @throws {TypeError} or {RangeError} naming the option that is wrong
   * @throws {Error} if BullMQ is not installed, or nodemailer, which the option `report` needs
   * @throws {OutboxUnavailableError} if Redis does not answer within the outbox's `timeout`
   */
  async work(options: BullmqWorkOptions = {}): Promise<OutboxWorker> {
    checkWorkOptions(options, "worker");
    const { concurrency = 10, worker: more } = options;
    if (more !== undefined) checkWorker(more);
    await this.#outbox.prepare();
    const { Worker, DelayedError, UnrecoverableError } = await loadBullmq();
    const attempts = new Attempts(this.#outbox, (id) => this.#wake(id));
    const milliseconds = typeof more?.["lockDuration"] === "number" ? more["lockDuration"] : 30_000;
    const handle = async (job: BullJob, token = ""): Promise<object> => {
      const outcome = await this.#step(attempts, job, { token, milliseconds });
      if (outcome.kind === "again") {
        await job.moveToDelayed(Date.now() + outcome.after * 1000, token);
        throw new DelayedError();
      }
      if (outcome.kind === "dead") throw new UnrecoverableError(outcome.why);
      return outcome.result;
    };
    const { connection, prefix } = this.#queue.opts;
    const worker = new Worker(this.#queue.name, handle, {
      ...{ connection, prefix, concurrency, maxStalledCount: Number.MAX_SAFE_INTEGER },
      ...more,
    });
    const bullmqWorker = new BullmqWorker(worker, !isClientOfUser({ connection, ...more }.connection));
    worker.on("completed", (job) => bullmqWorker.finish(this.#settle(job)));
    await this.#started(worker, options.signal);
    return outboxWorker(bullmqWorker, attempts, options);
  }

  /** The messages whose outcome is unknown. */
  held(): Promise<HeldMessage[]> {
    return this.#outbox.store.held.list();
  }

  /**
   * Says what became of a held message, which a person found out. "not-delivered" has it sent again.
   * @throws {Error} if there is no such message
   */
  async resolve(id: string, finding: "delivered" | "not-delivered"): Promise<void> {
    const { job, message } = await this.#find(id);
    const { isLeft, message: resolved } = await resolveTicket(this.#outbox.store, message, finding);
    // A worker that is processing it puts it back and reads its ticket again soon.
    if (!(await job.isFailed())) return await job.promote().catch(() => {});
    if (isLeft) {
      await this.#states.replaceDead(job, message, revived(message));
      return await job.retry("failed");
    }
    if (finding === "not-delivered") return await this.#states.replaceDead(job, message, resolved);
    await this.#states.removeDead(job, message);
    await this.#outbox.settle(message);
  }

  /** Lists the messages that were given up, newest first: BullMQ's failed jobs. */
  async deadLetters(start = 0, end = 99): Promise<DeadLetter[]> {
    checkRange(start, end);
    const jobs = await this.#queue.getFailed(start, end);
    return jobs.flatMap((job) => deadLetterOf(job.data, job.failedReason ?? "") ?? []);
  }

  /**
   * Sends a dead letter again, to those who have not got it.
   * @throws {Error} if there is none, or its outcome is unknown: `resolve()` comes first
   */
  async redrive(id: string): Promise<void> {
    const { job, message } = await this.#find(id);
    // Asks BullMQ, not the state: an interrupted redrive leaves a new state on a job that still failed.
    if (!(await job.isFailed())) throw new Error(`${id} is no dead letter`);
    await this.#states.replaceDead(job, message, redriven(message, this.#outbox.settings.lifetime));
    await job.retry("failed");
  }

  /** Removes a dead letter and its body. */
  async discard(id: string): Promise<void> {
    const { job, message } = await this.#find(id);
    if (!(await job.isFailed())) throw new Error(`${id} is no dead letter`);
    await this.#states.removeDead(job, message);
    await this.#outbox.settle(message);
  }

  /** Waits until a worker has its connections. */
  async #started(worker: BullWorker, signal: AbortSignal | undefined): Promise<void> {
    let trouble: Error | undefined;
    // BullMQ goes on by itself after an error; without a listener it would end the process.
    worker.on("error", (error) => {
      trouble = withoutCommand(error);
    });
    try {
      await this.#outbox.answered(
        () => worker.waitUntilReady(),
        signal,
        () => trouble,
      );
    } catch (error) {
      // It would go on to connect, and then take messages.
      void worker.close(true).catch(() => {});
      throw error;
    }
  }

  async #insert(messages: readonly QueuedMessage[], isKeyed: boolean): Promise<Twins> {
    await withoutCommands(() => this.#queue.addBulk(messages.map((one) => this.#jobOf(one))));
    if (!isKeyed) return new Map();
    const twins = await Promise.all(messages.map(({ message }) => this.#twinOf(message)));
    return new Map(twins.flat());
  }

  #jobOf({ message, from }: QueuedMessage): { name: string; data: object; opts: object } {
    const opts = {
      jobId: message.id,
      delay: Math.max(0, from - Date.now()),
      priority: message.priority ?? 0,
      // The key is remembered as long as the job.
      removeOnComplete: { age: this.#outbox.settings.retention },
      removeOnFail: false,
      // An unforeseen error is tried again: only a verdict ends a message.
      attempts: 1_000_000,
      backoff: { type: "fixed", delay: STORE_GONE * 1000 },
    };
    return { name: "message", data: message, opts };
  }

  /** BullMQ says nothing where a job with that name was there before. A nonce belongs to one call alone. */
  async #twinOf({ id, nonce }: OutboxMessage): Promise<[id: string, messageId: string | undefined][]> {
    const job = await this.#queue.getJob(id);
    if (job === undefined || field(job.data, "nonce", "string") === nonce) return [];
    return [[id, field(job.data, "messageId", "string")]];
  }

  async #step(attempts: Attempts, job: BullJob, lock: Lock): Promise<Outcome> {
    let message: OutboxMessage;
    try {
      message = readMessage(job.data);
    } catch (error) {
      if (!(error instanceof UnknownMessageError)) throw error;
      // Another worker may know it.
      return { kind: "again", after: 60 };
    }
    if (untold(message.state).length > 0) message = await this.#report(job, message, lock).catch(unlessLost(message));
    const conclusion = await attempts.run(message);
    return await this.#conclude(job, { ...message, state: conclusion.state }, conclusion, lock);
  }

  /** Stores each report before it sends it, so that the next worker repeats what a dead one left undone. */
  async #conclude(
    job: BullJob,
    next: OutboxMessage,
    { action, after, error, reply }: Conclusion,
    lock: Lock,
  ): Promise<Outcome> {
    // BullMQ checks the lock itself when it completes a job.
    const isPlain = action === "done" && next.state.failed.length === 0;
    if (!isPlain) {
      await this.#states.write(job, next, lock);
      await job.updateProgress({ action, attempts: next.state.attempts, why: textOf(error) });
    }
    if (action === "retry" || action === "hold" || action === "defer") return { kind: "again", after };
    if (untold(next.state).length > 0) await this.#report(job, next, lock);
    if (action === "give-up") {
      // A worker may have died between its entry and the state that says so.
      await this.#outbox.store.held.remove(next.id);
      return { kind: "dead", why: textOf(error) ?? "the message could not be delivered" };
    }
    return { kind: "done", result: { messageId: next.messageId, reply, failed: next.state.failed } };
  }

  async #report(job: BullJob, message: OutboxMessage, lock: Lock): Promise<OutboxMessage> {
    const report = await this.#outbox.reportOf(message);
    if (report !== undefined) await this.#insert([report], false);
    const told = { ...message, state: { ...message.state, told: message.state.failed.length } };
    await this.#states.write(job, told, lock);
    return told;
  }

  async #settle({ data }: BullJob): Promise<void> {
    try {
      await this.#outbox.settle(readMessage(data));
    } catch {
      // The store deletes the tickets later by itself.
    }
  }

  async #wake(id: string): Promise<void> {
    const job = await this.#queue.getJob(id);
    await job?.promote();
  }

  async #find(id: string): Promise<{ job: BullJob; message: OutboxMessage }> {
    checkId(id);
    const job = await this.#queue.getJob(id);
    if (job === undefined) {
      // There is nothing left to decide about it.
      await this.#outbox.store.held.remove(id);
      throw new Error(`there is no message ${id}`);
    }
    return { job, message: readMessage(job.data) };
  }
}

/** A report that cannot be stored is due again at the end of the attempt, and keeps nobody else from the message. */
function unlessLost(message: OutboxMessage): (error: unknown) => OutboxMessage {
  return (error) => {
    if (error instanceof ClaimLostError) throw error;
    return message;
  };
}

/** Options that would make the worker another one. */
function checkWorker(worker: Readonly<Record<string, unknown>>): void {
  checkObject(worker, "options.worker");
  for (const name of ["autorun", "prefix"]) {
    if (name in worker) throw new TypeError(`options.worker.${name} cannot be set: it is that of the outbox`);
  }
}

/** The end of a step, as BullMQ handles it. */
type Outcome =
  | { readonly kind: "again"; readonly after: number }
  | { readonly kind: "dead"; readonly why: string }
  | { readonly kind: "done"; readonly result: object };

/** Whether a connection is a client, and no options of one: BullMQ tells them apart by these methods. */
function isClientOfUser(connection: unknown): boolean {
  const methods = ["connect", "disconnect", "duplicate"];
  return methods.every((name) => typeof Reflect.get(Object(connection), name) === "function");
}
