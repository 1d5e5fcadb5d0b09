/** The queues of the crash test, as its main process and its workers open them. */
import { Queue } from "bullmq";
import { PgBoss } from "pg-boss";
import {
  bullmqOutbox,
  type DeadLetter,
  type Enqueued,
  type EnqueueOptions,
  type HeldMessage,
  type OutboxEnvelope,
  type OutboxOptions,
  type OutboxWorker,
  pgBossOutbox,
} from "../../../src/outbox/index.ts";

/** Which queue, and where its server is. */
export type QueueName = "redis" | "postgresql";

/** An open queue. */
export type Opened = {
  readonly outbox: {
    enqueue(envelope: OutboxEnvelope, body: string, options?: EnqueueOptions): Promise<Enqueued>;
    held(): Promise<HeldMessage[]>;
    deadLetters(start?: number, end?: number): Promise<DeadLetter[]>;
  };
  work(concurrency: number): Promise<OutboxWorker>;
  /** How many messages are not settled yet, those that are held included. */
  waiting(): Promise<number>;
  close(): Promise<void>;
};

/** Opens a queue, and makes it where it is missing. */
export function openQueue(name: QueueName, port: number, options: OutboxOptions): Promise<Opened> {
  return name === "redis" ? openRedis(port, options) : openPostgres(port, options);
}

async function openRedis(port: number, options: OutboxOptions): Promise<Opened> {
  const connection = { host: "127.0.0.1", port, maxRetriesPerRequest: null, retryStrategy: () => 100 };
  const queue = new Queue("mail", { connection });
  queue.on("error", () => {});
  const outbox = bullmqOutbox(queue, options);
  return {
    outbox,
    work: (concurrency) =>
      outbox.work({ concurrency, worker: { stalledInterval: 1000, lockDuration: 2000, connection } }),
    async waiting() {
      const counts = await queue.getJobCounts("waiting", "active", "delayed", "prioritized");
      return Object.values(counts).reduce((sum, count) => sum + count, 0);
    },
    close: () => queue.close(),
  };
}

async function openPostgres(port: number, options: OutboxOptions): Promise<Opened> {
  const boss = new PgBoss({
    ...{ host: "127.0.0.1", port, user: "postgres", database: "postgres", max: 30, connectionTimeoutMillis: 5000 },
    ...{ superviseIntervalSeconds: 1, monitorIntervalSeconds: 1 },
  });
  boss.on("error", () => {});
  await boss.start();
  const outbox = pgBossOutbox(boss, { ...options, heartbeat: 10 });
  await outbox.install();
  return {
    outbox,
    work: (concurrency) => outbox.work({ concurrency, poll: 0.2 }),
    async waiting() {
      const { rows } = await boss
        .getDb()
        .executeSql("SELECT count(*)::int AS count FROM pgboss.job WHERE name = 'mail' AND state < 'completed'");
      return Number(rows[0]?.count);
    },
    close: () => boss.stop({ graceful: false }),
  };
}
