/** An outbox on pg-boss, and so on PostgreSQL. */
import { wrongType } from "../core/bytes.ts";
import { checkObject } from "../facade/options.ts";
import { checkMethods, checkRange } from "./checks.ts";
import { type DeadLetter, deadLetterOf, redriven, revived } from "./dead-letters.ts";
import { field, textOf } from "./error-fields.ts";
import type { OutboxEnvelope, OutboxMessage } from "./message.ts";
import { checkStore, checkWorkOptions, type EnqueueOptions, type OutboxOptions, outboxSettings } from "./options.ts";
import { type Enqueued, Outbox } from "./outbox.ts";
import { inTransaction, isLive, type PgBoss, within } from "./pg-boss-client.ts";
import { PgBossConclusions } from "./pg-boss-conclusion.ts";
import { PgBossJobs } from "./pg-boss-jobs.ts";
import { PgBossWorker } from "./pg-boss-worker.ts";
import { postgresStore, type SqlClient } from "./postgres-store.ts";
import { resolveTicket } from "./resolve.ts";
import type { HeldMessage, OutboxStore } from "./store.ts";
import { Attempts, type OutboxWorker, outboxWorker, type WorkOptions } from "./worker.ts";

/** Options of an outbox on pg-boss. */
export type PgBossOutboxOptions = OutboxOptions & {
  /** The name of the queue; that of its dead letters is the same with "-dead" behind it. Default: "mail". */
  queue?: string | undefined;
  /** The schema of tickets, budgets and held messages. Default: "smtplib". */
  schema?: string | undefined;
  /** Seconds after which a worker that says nothing is taken for dead; from 10 to 3,600. Default: 60. */
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
  readonly #jobs: PgBossJobs;
  readonly #heartbeat: number;
  readonly #tables: ReturnType<typeof postgresStore> | undefined;

  constructor(boss: PgBoss, options: PgBossOutboxOptions) {
    const settings = outboxSettings(options, ["queue", "schema", "heartbeat", "store"]);
    const { queue = "mail", schema, heartbeat = 60, store } = options;
    checkStore(store);
    checkMethods(boss, ["createQueue", "insert", "fetch", "touch", "getDb"], "boss");
    if (typeof queue !== "string" || queue === "") throw wrongType("options.queue", "a name", queue);
    if (!Number.isInteger(heartbeat) || heartbeat < 10 || heartbeat > LONGEST_HEARTBEAT) {
      throw new RangeError(`options.heartbeat must be a whole number from 10 to ${LONGEST_HEARTBEAT}`);
    }
    if (store !== undefined && schema !== undefined)
      throw new TypeError("options.schema has no use beside options.store");
    this.#boss = boss;
    this.#heartbeat = heartbeat;
    const { lifetime, retention } = settings;
    this.#jobs = new PgBossJobs(boss, queue, { heartbeat, lifetime, retention });
    const place = placeOf(boss, queue);
    this.#tables =
      store === undefined ? postgresStore(sqlOf(boss), { schema, queue: place, budgets: `${place}:` }) : undefined;
    this.#outbox = new Outbox(settings, store ?? this.#made(), place);
  }

  /** Makes the queues and the tables, where they are missing. */
  async install(): Promise<void> {
    await this.#boss.createQueue(this.#jobs.queue);
    await this.#boss.createQueue(this.#jobs.dead);
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
      known: async (messages) => (rest.key === undefined ? new Map() : await this.#jobs.deadTwins(messages, own)),
      add: (messages) => this.#jobs.insert(messages, own),
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
    const attempts = new Attempts(this.#outbox, (id) => this.#jobs.wake(id));
    const conclusions = new PgBossConclusions(this.#boss, this.#jobs, this.#outbox);
    const worker = new PgBossWorker(this.#boss, {
      ...{ queue: this.#jobs.queue, concurrency, poll, heartbeat: this.#heartbeat, attempts },
      prepare: (job, message, conclusion) => conclusions.prepare(job, message, conclusion),
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
    const found = await this.#jobs.find(id);
    if (found === undefined) {
      // There is nothing left to decide about it.
      await this.#outbox.store.held.remove(id);
      throw new Error(`there is no message ${id}`);
    }
    const { message, isDead } = found;
    const { isLeft, message: resolved } = await resolveTicket(this.#outbox.store, message, finding);
    if (!isDead) return await this.#jobs.wake(id);
    if (isLeft) return await this.#revive(revived(message));
    if (finding === "delivered") return await this.discard(id);
    const decided = { message: resolved, why: "a person decided" };
    await this.#boss.update(this.#jobs.dead, decided, { id });
  }

  /** Lists the messages that were given up, oldest first. */
  async deadLetters(start = 0, end = 99): Promise<DeadLetter[]> {
    checkRange(start, end);
    const jobs = await this.#boss.findJobs(this.#jobs.dead, { limit: end + 1, queued: true });
    const found = jobs.flatMap(({ data }) => deadLetterOf(field(data, "message", "object"), whyOf(data)) ?? []);
    const listed = found.slice(start);
    if (this.#boss.getDb().beginTransaction !== undefined) return listed;
    const dead = await Promise.all(listed.map(async ({ id }) => !isLive(await this.#jobs.job(this.#jobs.queue, id))));
    return listed.filter((_, index) => dead[index]);
  }

  /**
   * Sends a dead letter again, to those who have not got it.
   * @throws {Error} if there is none, or its outcome is unknown: `resolve()` comes first
   */
  async redrive(id: string): Promise<void> {
    await this.#revive(redriven(await this.#jobs.findDead(id), this.#outbox.settings.lifetime));
  }

  /** Removes a dead letter and its body. */
  async discard(id: string): Promise<void> {
    const message = await this.#jobs.findDead(id);
    await inTransaction(this.#boss, async (db) => {
      await this.#jobs.deleteLetter(id, db);
      // Its key is free again.
      await this.#boss.deleteJob(this.#jobs.queue, id, within(db));
    });
    await this.#outbox.settle(message);
  }

  /** Puts a dead letter back into the queue. */
  async #revive(next: OutboxMessage): Promise<void> {
    const { id } = next;
    await inTransaction(this.#boss, async (db) => {
      // Without a transaction, the letter stays until the worker that ends the message removes it.
      if (db !== undefined) await this.#jobs.deleteLetter(id, db);
      if (isLive(await this.#jobs.job(this.#jobs.queue, id, db))) throw new Error(`${id} is in the queue already`);
      await this.#boss.deleteJob(this.#jobs.queue, id, within(db));
      await this.#jobs.insert([{ message: next, from: Date.now() }], db);
    });
  }

  #made(): OutboxStore {
    if (this.#tables === undefined) throw new Error("there is no store");
    return this.#tables;
  }

  /** The worker would look for ever into a queue that does not exist. @throws {Error} if `install()` was never called */
  async #checkInstalled(signal: AbortSignal | undefined): Promise<void> {
    try {
      await this.#outbox.answered(async () => {
        await Promise.all([this.#jobs.job(this.#jobs.queue, NO_JOB), this.#jobs.job(this.#jobs.dead, NO_JOB)]);
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
}

/** Seconds: an hour. */
const LONGEST_HEARTBEAT = 3600;
const NO_JOB = "00000000-0000-0000-0000-000000000000";

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
