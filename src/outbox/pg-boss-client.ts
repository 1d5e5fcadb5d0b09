/** pg-boss, as far as it is used, and its transactions. */

/** Runs SQL statements for pg-boss. */
export type PgBossDatabase = {
  executeSql(text: string, values?: unknown[]): Promise<{ rows: unknown[] }>;
};

/** A job that was fetched: calls that name it leave a later attempt of the same job alone. */
export type JobAttempt = { readonly id: string; readonly retryCount: number };

/** A job of pg-boss. */
export type PgBossJob = JobAttempt & { readonly data: unknown };

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
  findJobs(name: string, options: { id?: string; queued?: boolean; limit?: number }): Promise<{ data: unknown }[]>;
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
  const transaction = await boss.getDb().beginTransaction?.();
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
