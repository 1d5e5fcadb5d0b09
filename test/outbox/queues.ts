/** Queues on a running Redis or PostgreSQL, and the outboxes on them, which the tests use in the same way. */
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
  type OutboxStore,
  type OutboxWorker,
  pgBossOutbox,
  type WorkOptions,
} from "../../src/outbox/index.ts";

export type QueueName = "redis" | "postgresql";

/** The common interface of both outboxes. */
export type AnyOutbox = {
  enqueue(envelope: OutboxEnvelope, body: string | Uint8Array, options?: EnqueueOptions): Promise<Enqueued>;
  /** Starts a worker whose locks expire soon. */
  work(options?: WorkOptions): Promise<OutboxWorker>;
  held(): Promise<HeldMessage[]>;
  resolve(id: string, finding: "delivered" | "not-delivered"): Promise<void>;
  deadLetters(start?: number, end?: number): Promise<DeadLetter[]>;
  redrive(id: string): Promise<void>;
  discard(id: string): Promise<void>;
};

/** The common options of both outboxes. */
export type AnyOptions = OutboxOptions & { readonly store?: OutboxStore };

/** The queues on one server; all methods except `open` concern the last opened queue. */
export type Queues = {
  /**
   * Opens an outbox on the next queue, beginning with `mail-1`: processes that open the same number of queues share
   * them.
   */
  open(options: AnyOptions): Promise<AnyOutbox>;
  /** Adds a job that no outbox made, for immediate delivery to a worker. */
  add(id: string, data: object): Promise<void>;
  /** Whether the job with that name still waits. */
  waits(id: string): Promise<boolean>;
  /** The number of messages that are not settled yet, including held ones. */
  waiting(): Promise<number>;
  close(): Promise<void>;
};

/** Connects to a server on this machine. */
export function connectQueues(name: QueueName, port: number): Promise<Queues> {
  return name === "redis" ? onRedis(port) : onPostgres(port);
}

async function onRedis(port: number): Promise<Queues> {
  const connection = { host: "127.0.0.1", port, maxRetriesPerRequest: null, retryStrategy: () => 100 };
  const queues: Queue[] = [];
  const latest = (): Queue => {
    const queue = queues.at(-1);
    if (queue === undefined) throw new Error("no queue is open");
    return queue;
  };
  return {
    async open(options) {
      const queue = new Queue(`mail-${queues.length + 1}`, { connection });
      queue.on("error", () => {});
      queues.push(queue);
      await queue.waitUntilReady();
      const outbox = bullmqOutbox(queue, options);
      const start = outbox.work.bind(outbox);
      const worker = { stalledInterval: 1000, lockDuration: 2000, connection };
      return Object.assign(outbox, { work: (more?: WorkOptions) => start({ ...more, worker }) });
    },
    add: async (id, data) => void (await latest().add("message", data, { jobId: id })),
    waits: async (id) => ["delayed", "waiting", "active"].includes((await latest().getJobState(id)) ?? ""),
    async waiting() {
      const counts = await latest().getJobCounts("waiting", "active", "delayed", "prioritized");
      return Object.values(counts).reduce((sum, count) => sum + count, 0);
    },
    close: async () => void (await Promise.all(queues.map((queue) => queue.close().catch(() => {})))),
  };
}

async function onPostgres(port: number): Promise<Queues> {
  const boss = new PgBoss({
    ...{ host: "127.0.0.1", port, user: "postgres", database: "postgres", max: 30, connectionTimeoutMillis: 5000 },
    ...{ superviseIntervalSeconds: 1, monitorIntervalSeconds: 1 },
  });
  boss.on("error", () => {});
  await boss.start();
  let queues = 0;
  const latest = (): string => `mail-${queues}`;
  return {
    async open(options) {
      const outbox = pgBossOutbox(boss, { ...options, queue: `mail-${++queues}`, heartbeat: 10 });
      await outbox.install();
      const start = outbox.work.bind(outbox);
      return Object.assign(outbox, { work: (more?: WorkOptions) => start({ ...more, poll: 0.1 }) });
    },
    add: async (id, data) => void (await boss.send(latest(), data, { id })),
    async waits(id) {
      const [job] = await boss.findJobs(latest(), { id });
      return job !== undefined && ["created", "retry", "active"].includes(job.state);
    },
    async waiting() {
      const query = "SELECT count(*)::int AS count FROM pgboss.job WHERE name = $1 AND state < 'completed'";
      const { rows } = await boss.getDb().executeSql(query, [latest()]);
      return Number(rows[0]?.count);
    },
    close: () => boss.stop({ graceful: false }),
  };
}
