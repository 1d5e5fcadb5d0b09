/** An outbox on pg-boss, and so on PostgreSQL. What follows an attempt is one transaction. */
import { wrongType } from "../core/bytes.ts";
import { checkObject } from "../facade/options.ts";
import type { Conclusion } from "./conclusion.ts";
import { type DeadLetter, deadLetterOf, redriven, revived } from "./dead-letters.ts";
import { field, textOf } from "./error-fields.ts";
import { type OutboxEnvelope, type OutboxMessage, readMessage } from "./message.ts";
import {
  checkMethods,
  checkStore,
  checkWorkOptions,
  type EnqueueOptions,
  type OutboxOptions,
  outboxSettings,
} from "./options.ts";
import { type Enqueued, Outbox, type QueuedMessage, type Twins } from "./outbox.ts";
import {
  inTransaction,
  isLive,
  type JobAttempt,
  type PgBoss,
  type PgBossDatabase,
  type PgBossFound,
  within,
} from "./pg-boss-client.ts";
import { PgBossWorker } from "./pg-boss-worker.ts";
import { postgresStore, type SqlClient } from "./postgres-store.ts";
import { resolveTicket } from "./resolve.ts";
import type { HeldMessage, OutboxStore } from "./store.ts";
import { type StoredReply, storedText } from "./stored-reply.ts";
import { Attempts, ClaimLostError, type OutboxWorker, outboxWorker, type WorkOptions } from "./worker.ts";

/** Options of an outbox on pg-boss. */
export type PgBossOutboxOptions = OutboxOptions & {
  /** The name of the queue; that of its dead letters is the same with "-dead" behind it. Default: "mail". */
  queue?: string | undefined;
  /** The schema of tickets, budgets and held messages. Default: "smtplib". */
  schema?: string | undefined;
  /** Seconds after which a worker that says nothing is taken for dead; at least 10. Default: 60. */
  heartbeat?: number | undefined;
  /** Where tickets, budgets and the list of held messages are. Default: tables beside those of pg-boss. */
  store?: OutboxStore | undefined;
};

/** Options of a message on pg-boss. */
export type PgBossEnqueueOptions = EnqueueOptions & {
  /** The client of the caller's own transaction: the message is queued if that commits. */
  db?: SqlClient | undefined;
};

/** Options of a worker on pg-boss. */
export type PgBossWorkOptions = WorkOptions & {
  /** Seconds between two looks at an empty queue. Default: 1. */
  poll?: number | undefined;
};

/**
 * Makes an outbox of pg-boss, which has to be started. Call `install()` once before the first message.
 * @throws {TypeError} or {RangeError} naming the option that is wrong
 * @example
 * ```ts
 * import { PgBoss } from "pg-boss";
 * import { pgBossOutbox } from "smtplib/outbox";
 *
 * const boss = new PgBoss("postgres://localhost/app");
 * await boss.start();
 * const outbox = pgBossOutbox(boss, { connect: () => ({ host: "mail.example.com", port: 587 }) });
 * await outbox.install();
 * await outbox.enqueue(
 *   { from: "ada@example.com", to: ["charles@example.net"] },
 *   "Subject: Hello\n\nHi!\n",
 *   { key: "order-17-confirmation" },
 * );
 * const worker = await outbox.work({ concurrency: 20 });
 * await worker.close();
 * await boss.stop();
 * ```
 */
export function pgBossOutbox(boss: PgBoss, options: PgBossOutboxOptions): PgBossOutbox {
  return new PgBossOutbox(boss, options);
}

/** An outbox on pg-boss. */
export class PgBossOutbox {
  readonly #boss: PgBoss;
  readonly #outbox: Outbox;
  readonly #queue: string;
  readonly #heartbeat: number;
  readonly #tables: ReturnType<typeof postgresStore> | undefined;

  constructor(boss: PgBoss, options: PgBossOutboxOptions) {
    const settings = outboxSettings(options, ["queue", "schema", "heartbeat", "store"]);
    const { queue = "mail", schema, heartbeat = 60, store } = options;
    checkStore(store);
    checkMethods(boss, ["createQueue", "insert", "fetch", "touch", "getDb"], "boss");
    if (typeof queue !== "string" || queue === "") throw wrongType("options.queue", "a name", queue);
    if (!Number.isInteger(heartbeat) || heartbeat < 10)
      throw new RangeError("heartbeat must be a whole number from 10 on");
    this.#boss = boss;
    this.#queue = queue;
    this.#heartbeat = heartbeat;
    const place = placeOf(boss, queue);
    this.#tables = store === undefined ? postgresStore(sqlOf(boss), { schema, queue: place }) : undefined;
    this.#outbox = new Outbox(settings, store ?? this.#made(), place);
  }

  /** Makes the queues and the tables, where they are missing. */
  async install(): Promise<void> {
    await this.#boss.createQueue(this.#queue);
    await this.#boss.createQueue(this.#dead);
    await this.#tables?.install();
  }

  /**
   * Queues a message. Once it resolves, the message is in PostgreSQL, or will be when the transaction of `db` commits.
   * @param body - a whole message of RFC 5322; a Message-ID is added where it has none
   * @throws {TypeError} or {RangeError} naming the argument that is wrong
   * @throws {OutboxUnavailableError} if PostgreSQL or the store of bodies does not answer within `timeout`. The message may
   * have been queued all the same: with a key the call can be repeated safely
   */
  async enqueue(
    envelope: OutboxEnvelope,
    body: string | Uint8Array,
    options: PgBossEnqueueOptions = {},
  ): Promise<Enqueued> {
    checkObject(options, "options");
    const { db, ...rest } = options;
    if (db !== undefined) checkMethods(db, ["query"], "options.db");
    const own = db && { executeSql: (text: string, values?: unknown[]) => db.query(text, values) };
    return this.#outbox.enqueue(envelope, body, rest, {
      known: async (messages) => (rest.key === undefined ? new Map() : await this.#deadTwins(messages, own)),
      add: (messages) => this.#insert(messages, own),
    });
  }

  /**
   * Starts a worker in this process.
   * @throws {TypeError} or {RangeError} naming the option that is wrong
   * @throws {Error} if `install()` was never called, or nodemailer is not installed, which the option `report` needs
   */
  async work(options: PgBossWorkOptions = {}): Promise<OutboxWorker> {
    checkWorkOptions(options, "poll");
    await this.#outbox.prepare();
    await this.#checkInstalled(options.signal);
    const { concurrency = 10, poll = 1 } = options;
    const attempts = new Attempts(this.#outbox, (id) => this.#wake(id));
    const worker = new PgBossWorker(this.#boss, {
      ...{ queue: this.#queue, concurrency, poll, heartbeat: this.#heartbeat, attempts },
      conclude: (job, message, conclusion) => this.#conclude(job, message, conclusion),
    });
    return outboxWorker(worker, attempts, options);
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
    const found = await this.#find(id);
    if (found === undefined) {
      // Nor is there anything to decide about it.
      await this.#outbox.store.held.remove(id);
      throw new Error(`there is no message ${id}`);
    }
    const { message, isDead } = found;
    const isLeft = await resolveTicket(this.#outbox.store, message, finding);
    if (!isDead) return await this.#wake(id);
    if (isLeft) return await this.#revive(revived(message));
    if (finding === "delivered") return await this.discard(id);
    const decided = { message: { ...message, state: { ...message.state, held: undefined } }, why: "a person decided" };
    await this.#boss.update(this.#dead, decided, { id });
  }

  /** Lists the messages that were given up, oldest first. */
  async deadLetters(start = 0, end = 99): Promise<DeadLetter[]> {
    const jobs = await this.#boss.findJobs(this.#dead, { limit: end + 1, queued: true });
    const found = jobs.flatMap(({ data }) => deadLetterOf(field(data, "message", "object"), whyOf(data)) ?? []);
    const listed = found.slice(start);
    if (this.#boss.getDb().beginTransaction !== undefined) return listed;
    const dead = await Promise.all(listed.map(async ({ id }) => !isLive(await this.#job(this.#queue, id))));
    return listed.filter((_, index) => dead[index]);
  }

  /**
   * Sends a dead letter again, to those who have not got it.
   * @throws {Error} if there is none, or its outcome is unknown: `resolve()` comes first
   */
  async redrive(id: string): Promise<void> {
    await this.#revive(redriven(await this.#findDead(id), this.#outbox.settings.lifetime));
  }

  /** Removes a dead letter and its body. */
  async discard(id: string): Promise<void> {
    const message = await this.#findDead(id);
    await this.#deleteLetter(id, undefined);
    await this.#outbox.settle(message);
  }

  /** Puts a dead letter back into the queue. */
  async #revive(next: OutboxMessage): Promise<void> {
    const { id } = next;
    await inTransaction(this.#boss, async (db) => {
      // Without a transaction, the letter stays until the worker that ends the message removes it.
      if (db !== undefined) await this.#deleteLetter(id, db);
      if (isLive(await this.#job(this.#queue, id, db))) throw new Error(`${id} is in the queue already`);
      await this.#boss.deleteJob(this.#queue, id, within(db));
      await this.#insert([{ message: next, from: Date.now(), priority: 0 }], db);
    });
  }

  get #dead(): string {
    return `${this.#queue}-dead`;
  }

  #made(): OutboxStore {
    if (this.#tables === undefined) throw new Error("there is no store");
    return this.#tables;
  }

  /** The worker would look for ever into a queue that does not exist. @throws {Error} if `install()` was never called */
  async #checkInstalled(signal: AbortSignal | undefined): Promise<void> {
    try {
      await this.#outbox.answered(async () => {
        await Promise.all([this.#job(this.#queue, NO_JOB), this.#job(this.#dead, NO_JOB)]);
        await this.#tables?.tickets.read("");
      }, signal);
    } catch (cause) {
      if (signal?.aborted) throw cause;
      const isMissing =
        field(cause, "code", "string") === "42P01" || /^Queue .* does not exist$/s.test(textOf(cause) ?? "");
      if (isMissing) throw new Error("the outbox has no queue or no tables: call install() first", { cause });
      // PostgreSQL is gone: the worker begins when it is back.
    }
  }

  /** A key is remembered as long as its message is among the dead letters, like that of a job that BullMQ keeps. */
  async #deadTwins(messages: readonly QueuedMessage[], db: PgBossDatabase | undefined): Promise<Twins> {
    const twins = new Map<string, string | undefined>();
    for (const { message } of messages) {
      const letter = await this.#job(this.#dead, message.id, db);
      if (letter !== undefined)
        twins.set(message.id, field(field(letter.data, "message", "object"), "messageId", "string"));
    }
    return twins;
  }

  async #insert(messages: readonly QueuedMessage[], db: PgBossDatabase | undefined): Promise<Twins> {
    const { lifetime, retention } = this.#outbox.settings;
    const jobs = messages.map(({ message, from, priority }) => ({
      ...{ id: message.id, data: message, startAfter: new Date(from).toISOString(), priority: -priority },
      // Only a verdict ends a message.
      ...{ retryLimit: 1_000_000, retryDelay: 5, retentionSeconds: Math.ceil(lifetime) + 30 * 86_400 },
      ...{ heartbeatSeconds: this.#heartbeat, expireInSeconds: 86_399 },
      // The key is remembered as long as the job.
      deleteAfterSeconds: Math.max(1, Math.ceil(retention)),
    }));
    const added = await this.#boss.insert(this.#queue, jobs, { ...within(db), returnId: true });
    const twins = new Map<string, string | undefined>();
    const isAdded = new Set(added);
    for (const { id } of jobs.filter((job) => !isAdded.has(job.id))) {
      twins.set(id, field((await this.#job(this.#queue, id, db))?.data, "messageId", "string"));
    }
    return twins;
  }

  /**
   * The state, the report and the job's end together: a worker that dies leaves all or nothing of it. Where there are no
   * transactions the end comes last, and what was left by one that died is written again.
   */
  async #conclude(
    job: JobAttempt,
    message: OutboxMessage,
    { action, after, state, error, reply }: Conclusion,
  ): Promise<void> {
    const next = { ...message, state: { ...state, told: state.failed.length } };
    const report = await this.#outbox.reportOf({ ...message, state });
    // A worker may have died between its entry in the list and the state that says so.
    if (action === "give-up") await this.#outbox.store.held.remove(message.id);
    await inTransaction(this.#boss, async (db) => {
      if (db === undefined) await claimed(this.#boss.touch(this.#queue, [job]));
      if (db === undefined || action === "give-up") await this.#boss.deleteJob(this.#dead, job.id, within(db));
      if (report !== undefined) await this.#insert([report], db);
      const result = { messageId: message.messageId, reply: reply && plain(reply), failed: state.failed };
      if (action === "done") return await this.#end(job, result, db);
      if (action === "give-up") return await this.#giveUp(job, next, error, db);
      await claimed(this.#boss.fail(this.#queue, job, { action, why: textOf(error) }, within(db)));
      const startAfter = new Date(Date.now() + after * 1000).toISOString();
      await this.#boss.update(this.#queue, next, { id: job.id, startAfter, ...within(db) });
    });
    if (action === "done") await this.#outbox.settle(next);
  }

  async #giveUp(job: JobAttempt, next: OutboxMessage, error: unknown, db: PgBossDatabase | undefined): Promise<void> {
    const why = textOf(error) ?? "the message could not be delivered";
    const letter = { id: job.id, data: { message: next, why }, retentionSeconds: 10 * 365 * 86_400 };
    await this.#boss.insert(this.#dead, [letter], within(db));
    try {
      await this.#end(job, { why }, db);
    } catch (error) {
      if (db === undefined && error instanceof ClaimLostError) await this.#takeBack(job.id);
      throw error;
    }
  }

  /** Removes the letter of a message that another worker has delivered meanwhile. */
  async #takeBack(id: string): Promise<void> {
    const job = await this.#job(this.#queue, id);
    if (field(job?.output, "messageId", "string") !== undefined) await this.#boss.deleteJob(this.#dead, id);
  }

  async #end(job: JobAttempt, output: object, db: PgBossDatabase | undefined): Promise<void> {
    await claimed(this.#boss.complete(this.#queue, job, output, within(db)));
  }

  async #wake(id: string): Promise<void> {
    await this.#boss.update(this.#queue, undefined, { id, startAfter: new Date().toISOString() });
  }

  /** A message by its name. It is dead unless it is in the queue again, or still. */
  async #find(id: string): Promise<{ readonly message: OutboxMessage; readonly isDead: boolean } | undefined> {
    if (!UUID.test(id)) return undefined;
    const letter = await this.#job(this.#dead, id);
    const job = await this.#job(this.#queue, id);
    if (letter !== undefined && !isLive(job)) {
      return { message: readMessage(field(letter.data, "message", "object")), isDead: true };
    }
    return job && { message: readMessage(job.data), isDead: false };
  }

  /** @throws {Error} if it is none */
  async #findDead(id: string): Promise<OutboxMessage> {
    const found = await this.#find(id);
    if (found?.isDead) return found.message;
    throw new Error(
      found === undefined ? `there is no dead letter ${id}` : `${id} is no dead letter: it is in the queue, or done`,
    );
  }

  /** @throws {Error} if it is gone: somebody else had the same idea */
  async #deleteLetter(id: string, db: PgBossDatabase | undefined): Promise<void> {
    const response = await this.#boss.deleteJob(this.#dead, id, within(db));
    if (field(response, "affected", "number") === 0) throw new Error(`there is no dead letter ${id}`);
  }

  async #job(queue: string, id: string, db?: PgBossDatabase): Promise<PgBossFound | undefined> {
    const [job] = await this.#boss.findJobs(queue, { id, ...within(db) });
    return job;
  }
}

/** All names of messages are of this form, and PostgreSQL takes no others. */
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
const NO_JOB = "00000000-0000-0000-0000-000000000000";

function plain({ code, text }: StoredReply): StoredReply {
  return { code, text: storedText(text) };
}

/** @throws {ClaimLostError} if the job was not this worker's any more: the transaction is rolled back */
async function claimed(response: Promise<unknown>): Promise<void> {
  if (field(await response, "affected", "number") === 0) throw new ClaimLostError();
}

function whyOf(data: unknown): string {
  return field(data, "why", "string") ?? "";
}

/** The queue with the schema that pg-boss has it in: a database may have several. */
function placeOf(boss: PgBoss, queue: string): string {
  const config: unknown = Reflect.get(boss.getDb(), "config");
  return `${field(config, "schema", "string") ?? ""}:${queue}`;
}

/** pg-boss's own connections, for the tables beside its own. */
function sqlOf(boss: PgBoss): SqlClient {
  return { query: (text, values) => boss.getDb().executeSql(text, values) };
}
