/** pg-boss, as far as it is used, and its transactions. */

/** Runs SQL statements for pg-boss. */
export type PgBossDatabase = {
  executeSql(text: string, values?: unknown[]): Promise<{ rows: unknown[] }>;
};

/** A job that was fetched: calls that name it leave a later attempt of the same job alone. */
export type JobAttempt = { readonly id: string; readonly retryCount: number };

/** A job of pg-boss. */
export type PgBossJob = JobAttempt & { readonly data: unknown };

/** A job that was looked for. */
export type PgBossFound = { readonly data: unknown; readonly state?: string; readonly output?: unknown };

/** Whether a job is still to be done, or under way. */
export function isLive(job: PgBossFound | undefined): boolean {
  return job?.state === "created" || job?.state === "retry" || job?.state === "active";
}

/** The option of a call that runs it within a transaction. */
export type PgBossCallOptions = { readonly db?: PgBossDatabase };

/** A `PgBoss`, started. */
export type PgBoss = {
  createQueue(name: string): Promise<unknown>;
  insert(
    name: string,
    jobs: object[],
    options?: PgBossCallOptions & { readonly returnId?: boolean },
  ): Promise<string[] | null>;
  fetch(name: string, options: { batchSize: number }): Promise<PgBossJob[]>;
  touch(name: string, jobs: JobAttempt[]): Promise<unknown>;
  complete(name: string, job: JobAttempt, data: object, options?: PgBossCallOptions): Promise<unknown>;
  fail(name: string, job: JobAttempt, data: object, options?: PgBossCallOptions): Promise<unknown>;
  update(
    name: string,
    data: object | undefined,
    options: PgBossCallOptions & { id: string; startAfter?: string },
  ): Promise<unknown>;
  deleteJob(name: string, id: string, options?: PgBossCallOptions): Promise<unknown>;
  findJobs(
    name: string,
    options: PgBossCallOptions & { id?: string; queued?: boolean; limit?: number },
  ): Promise<PgBossFound[]>;
  getDb(): PgBossDatabase & { beginTransaction?(): Promise<PgBossTransaction> };
};

/** A transaction of the database of pg-boss. */
export type PgBossTransaction = { readonly db: PgBossDatabase; commit(): Promise<void>; rollback(): Promise<void> };

/** The option that runs a call within a transaction. */
export function within(db: PgBossDatabase | undefined): PgBossCallOptions {
  return db === undefined ? {} : { db };
}

/** Runs something in one transaction of pg-boss's own database; one after the other where its adapter has none. */
export async function inTransaction<T>(boss: PgBoss, run: (db: PgBossDatabase | undefined) => Promise<T>): Promise<T> {
  const db = boss.getDb();
  hearConnections(db);
  const transaction = await db.beginTransaction?.();
  if (transaction === undefined) return await run(undefined);
  try {
    const result = await run(transaction.db);
    await transaction.commit();
    return result;
  } catch (error) {
    await transaction.rollback();
    throw error;
  }
}

type Emitter = { on(event: string, listener: (value: unknown) => void): unknown };

/** Pools and connections of pg that have their listener. */
const heard = new WeakSet<object>();

/**
 * Listens to the errors of the connections that pg-boss takes from its pool. pg-boss does so a microtask later, and an
 * error in the same packet as the answer before it, as when PostgreSQL is killed, would end the process until then. The
 * statements on the connection reject by themselves.
 */
function hearConnections(db: PgBossDatabase): void {
  const pool: unknown = Reflect.get(db, "pool");
  listenOnce(pool, "acquire", (client) => listenOnce(client, "error", () => {}));
}

function listenOnce(emitter: unknown, event: string, listener: (value: unknown) => void): void {
  if (!isEmitter(emitter) || heard.has(emitter)) return;
  heard.add(emitter);
  emitter.on(event, listener);
}

function isEmitter(value: unknown): value is Emitter {
  return typeof value === "object" && value !== null && typeof Reflect.get(value, "on") === "function";
}
