/** A worker on pg-boss: fetches as many messages as it has room for, and keeps its claim on them alive. */
import type { Conclusion } from "./conclusion.ts";
import { textOf } from "./error-fields.ts";
import { type OutboxMessage, readMessage, UnknownMessageError } from "./message.ts";
import type { JobAttempt, PgBoss, PgBossJob } from "./pg-boss-client.ts";
import { type Attempts, STORE_GONE } from "./worker.ts";

/** The settings of a worker. Times are in seconds. */
type Settings = {
  readonly queue: string;
  readonly concurrency: number;
  readonly poll: number;
  readonly heartbeat: number;
  readonly attempts: Attempts;
  /** Gives the step that writes down the end of an attempt. */
  readonly prepare: (job: JobAttempt, message: OutboxMessage, conclusion: Conclusion) => Promise<() => Promise<void>>;
};

/** One worker. */
export class PgBossWorker {
  readonly #boss: PgBoss;
  readonly #settings: Settings;
  readonly #running = new Map<Promise<void>, JobAttempt>();
  readonly #loop: Promise<void>;
  readonly #heartbeat: ReturnType<typeof setInterval>;
  #closing = false;
  #wake: () => void = () => {};

  constructor(boss: PgBoss, settings: Settings) {
    this.#boss = boss;
    this.#settings = settings;
    this.#heartbeat = setInterval(() => void this.#touch(), settings.heartbeat * 333);
    this.#loop = this.#run();
  }

  /** Fetches nothing more, and waits for what is under way. */
  async close(): Promise<void> {
    this.#closing = true;
    this.#wake();
    await this.#loop;
    await Promise.all(this.#running.keys());
    clearInterval(this.#heartbeat);
  }

  /** Ends its claims; others find the messages when their heartbeats are missed. The connection is that of pg-boss. */
  async abort(): Promise<void> {
    clearInterval(this.#heartbeat);
  }

  async #run(): Promise<void> {
    const { queue, concurrency, poll } = this.#settings;
    let pause = 100;
    while (!this.#closing) {
      const room = concurrency - this.#running.size;
      let jobs: PgBossJob[] = [];
      try {
        if (room > 0) jobs = await this.#boss.fetch(queue, { batchSize: room });
        pause = 100;
      } catch {
        // PostgreSQL is gone: the worker goes on when it is back.
        pause = Math.min(5000, pause * 2);
        await this.#sleep(pause);
        continue;
      }
      for (const job of jobs) this.#start(job);
      if (jobs.length < room) await this.#sleep(poll * 1000);
      else await Promise.race([...this.#running.keys(), this.#closed()]);
    }
  }

  #start(job: PgBossJob): void {
    const run = this.#process(job)
      // pg-boss hands it out again when its heartbeats stop.
      .catch(() => {})
      .then(() => void this.#running.delete(run));
    this.#running.set(run, job);
  }

  async #process(job: PgBossJob): Promise<void> {
    let message: OutboxMessage;
    try {
      message = readMessage(job.data);
    } catch (error) {
      if (!(error instanceof UnknownMessageError)) throw error;
      return await this.#putBack(job, 60, error);
    }
    let conclusion: Conclusion;
    try {
      conclusion = await this.#settings.attempts.run(message);
    } catch (error) {
      // The store is gone, and nothing was sent.
      return await this.#putBack(job, STORE_GONE, error);
    }
    await this.#settings.attempts.persist(await this.#settings.prepare(job, message, conclusion));
  }

  async #putBack(job: PgBossJob, after: number, error: unknown): Promise<void> {
    const { queue, attempts } = this.#settings;
    await attempts.persist(() => this.#boss.fail(queue, job, { why: textOf(error) }));
    const startAfter = new Date(Date.now() + after * 1000).toISOString();
    await this.#boss.update(queue, undefined, { id: job.id, startAfter });
  }

  async #touch(): Promise<void> {
    const jobs = [...this.#running.values()];
    // A single missed heartbeat has no effect.
    if (jobs.length > 0) await this.#boss.touch(this.#settings.queue, jobs).catch(() => {});
  }

  #sleep(milliseconds: number): Promise<void> {
    return new Promise((resolve) => {
      // The worker may have been closed during the fetch.
      if (this.#closing) return resolve();
      const timer = setTimeout(resolve, milliseconds);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  #closed(): Promise<void> {
    return new Promise((resolve) => {
      if (this.#closing) return resolve();
      this.#wake = resolve;
    });
  }
}
