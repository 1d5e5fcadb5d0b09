/** The end of an attempt on pg-boss: the message's next state, its report and its job in one transaction. */
import type { Conclusion } from "./conclusion.ts";
import { field, textOf } from "./error-fields.ts";
import type { OutboxMessage } from "./message.ts";
import type { Outbox, QueuedMessage } from "./outbox.ts";
import { inTransaction, type JobAttempt, type PgBoss, type PgBossDatabase, within } from "./pg-boss-client.ts";
import type { PgBossJobs } from "./pg-boss-jobs.ts";
import { type StoredReply, storedText } from "./stored-reply.ts";
import { ClaimLostError, STORE_GONE } from "./worker.ts";

/** An attempt, its message before and after it, and the report that goes with it. */
type End = {
  readonly job: JobAttempt;
  readonly message: OutboxMessage;
  readonly next: OutboxMessage;
  readonly report: QueuedMessage | undefined;
};

/** Writes down the ends of attempts. */
export class PgBossConclusions {
  readonly #boss: PgBoss;
  readonly #jobs: PgBossJobs;
  readonly #outbox: Outbox;

  constructor(boss: PgBoss, jobs: PgBossJobs, outbox: Outbox) {
    this.#boss = boss;
    this.#jobs = jobs;
    this.#outbox = outbox;
  }

  /**
   * Makes the report that a conclusion asks for. The returned step writes the end down; it can be repeated until
   * PostgreSQL answers.
   */
  async prepare(job: JobAttempt, message: OutboxMessage, conclusion: Conclusion): Promise<() => Promise<void>> {
    const { state } = conclusion;
    const { report, told } = await this.#reportOf({ ...message, state });
    const next = { ...message, state: { ...state, told } };
    const ending = told === state.failed.length ? conclusion : unreported(conclusion);
    return async () => {
      // A worker may have died between its entry in the list and the state that says so.
      if (ending.action === "give-up") await this.#outbox.store.held.remove(message.id);
      await inTransaction(this.#boss, (db) => this.#write({ job, message, next, report }, ending, db));
      if (ending.action === "done") await this.#outbox.settle(next);
    };
  }

  /**
   * Writes the state, the report and the job's end together: a worker that dies leaves all or nothing of it. Where there
   * are no transactions the end comes last, and what was left by one that died is written again.
   */
  async #write(
    { job, message, next, report }: End,
    { action, after, error, reply }: Conclusion,
    db: PgBossDatabase | undefined,
  ): Promise<void> {
    const { queue, dead } = this.#jobs;
    if (db === undefined) await this.#claim(message, this.#boss.touch(queue, [job]), db);
    if (db === undefined || action === "give-up") await this.#boss.deleteJob(dead, job.id, within(db));
    if (report !== undefined) await this.#jobs.insert([report], db);
    const result = { messageId: message.messageId, reply: reply && plain(reply), failed: next.state.failed };
    if (action === "done") return await this.#end(job, message, result, db);
    if (action === "give-up") return await this.#giveUp(job, next, error, db);
    await this.#claim(message, this.#boss.fail(queue, job, { action, why: textOf(error) }, within(db)), db);
    const startAfter = new Date(Date.now() + after * 1000).toISOString();
    await this.#boss.update(queue, next, { id: job.id, startAfter, ...within(db) });
  }

  /** The report that is due, and how many failures the sender is told of by then. */
  async #reportOf(
    message: OutboxMessage,
  ): Promise<{ readonly report: QueuedMessage | undefined; readonly told: number }> {
    const { failed, told } = message.state;
    try {
      return { report: await this.#outbox.reportOf(message), told: failed.length };
    } catch {
      // Its body cannot be stored now: it is due at the next attempt.
      return { report: undefined, told };
    }
  }

  async #giveUp(job: JobAttempt, next: OutboxMessage, error: unknown, db: PgBossDatabase | undefined): Promise<void> {
    const why = textOf(error) ?? "the message could not be delivered";
    const letter = { id: job.id, data: { message: next, why }, retentionSeconds: 10 * 365 * 86_400 };
    await this.#boss.insert(this.#jobs.dead, [letter], within(db));
    try {
      await this.#end(job, next, { why }, db);
    } catch (error) {
      if (db === undefined && error instanceof ClaimLostError) await this.#takeBack(job.id);
      throw error;
    }
  }

  /** Removes the letter of a message that another worker has delivered meanwhile. */
  async #takeBack(id: string): Promise<void> {
    const job = await this.#jobs.job(this.#jobs.queue, id);
    if (field(job?.output, "messageId", "string") !== undefined) await this.#boss.deleteJob(this.#jobs.dead, id);
  }

  async #end(job: JobAttempt, message: OutboxMessage, output: object, db: PgBossDatabase | undefined): Promise<void> {
    await this.#claim(message, this.#boss.complete(this.#jobs.queue, job, output, within(db)), db);
  }

  /**
   * Makes sure that a step has changed the job of this very message. An attempt is named by the job and a number, and both
   * are the same again for a message that was redriven, or has the key of one that is forgotten.
   * @throws {ClaimLostError} if the job is not this worker's any more: the transaction is rolled back
   */
  async #claim(message: OutboxMessage, step: Promise<unknown>, db: PgBossDatabase | undefined): Promise<void> {
    if (field(await step, "affected", "number") === 0) throw new ClaimLostError();
    const { nonce, state } = message;
    const job = await this.#jobs.job(this.#jobs.queue, message.id, db);
    const redrives = field(field(job?.data, "state", "object"), "redrives", "number") ?? 0;
    const isSame = field(job?.data, "nonce", "string") === nonce && redrives === state.redrives;
    if (!isSame) throw new ClaimLostError();
  }
}

function plain({ code, text }: StoredReply): StoredReply {
  return { code, text: storedText(text) };
}

/** The message is over, and its report is still due: it stays in the queue, and sends nothing more. */
function unreported(conclusion: Conclusion): Conclusion {
  const isOver = conclusion.action === "done" || conclusion.action === "give-up";
  return isOver ? { ...conclusion, action: "defer", after: STORE_GONE } : conclusion;
}
