/** The two outboxes under one set of tests: each on a server of its own, with workers in this process. */
import { Queue } from "bullmq";
import { PgBoss } from "pg-boss";
import {
  type BullmqOutboxOptions,
  bullmqOutbox,
  type DeadLetter,
  type Enqueued,
  type EnqueueOptions,
  type HeldMessage,
  type OutboxEnvelope,
  type OutboxOptions,
  type OutboxWorker,
  pgBossOutbox,
  type WorkOptions,
} from "../../src/outbox/index.ts";
import { type Service, startPostgres, startRedis } from "./services.ts";

/** What both outboxes can. */
export type AnyOutbox = {
  enqueue(envelope: OutboxEnvelope, body: string | Uint8Array, options?: EnqueueOptions): Promise<Enqueued>;
  work(options?: WorkOptions): Promise<OutboxWorker>;
  held(): Promise<HeldMessage[]>;
  resolve(id: string, finding: "delivered" | "not-delivered"): Promise<void>;
  deadLetters(): Promise<DeadLetter[]>;
  redrive(id: string): Promise<void>;
  discard(id: string): Promise<void>;
};

/** A queue's server and what is opened on it. */
export type Bench = {
  readonly service: Service;
  /** An outbox with a queue of its own. */
  open(options: OutboxOptions): Promise<AnyOutbox>;
  /** Puts something else than a message of this version into the queue that was opened last, to be handed out at once. */
  smuggle(id: string, data: object): Promise<void>;
  /** Whether the job with that name still waits. */
  waits(id: string): Promise<boolean>;
  close(): Promise<void>;
};

/** Redis with BullMQ. */
export async function redisBench(): Promise<Bench> {
  const service = await startRedis();
  const connection = { host: "127.0.0.1", port: service.port, maxRetriesPerRequest: null, retryStrategy: () => 100 };
  const queues: Queue[] = [];
  const latest = (): Queue => {
    const queue = queues.at(-1);
    if (queue === undefined) throw new Error("no queue is open");
    return queue;
  };
  return {
    service,
    async open(options: BullmqOutboxOptions) {
      const queue = new Queue(`mail-${queues.length}`, { connection });
      queue.on("error", () => {});
      queues.push(queue);
      await queue.waitUntilReady();
      const outbox = bullmqOutbox(queue, options);
      const worker = { stalledInterval: 1000, lockDuration: 2000, connection };
      return Object.assign(outbox, { work: work(outbox, worker) });
    },
    smuggle: async (id, data) => void (await latest().add("message", data, { jobId: id })),
    waits: async (id) => ["delayed", "waiting", "active"].includes((await latest().getJobState(id)) ?? ""),
    async close() {
      await Promise.all(queues.map((queue) => queue.close().catch(() => {})));
      await service.close();
    },
  };
}

/** The same worker, with locks that run out soon. */
function work(
  outbox: ReturnType<typeof bullmqOutbox>,
  worker: Readonly<Record<string, unknown>>,
): (options?: WorkOptions) => Promise<OutboxWorker> {
  const start = outbox.work.bind(outbox);
  return (options) => start({ ...options, worker });
}

/** PostgreSQL with pg-boss. */
export async function postgresBench(): Promise<Bench> {
  const service = await startPostgres();
  const boss = new PgBoss({
    ...{ host: "127.0.0.1", port: service.port, user: "postgres", database: "postgres", max: 20 },
    ...{ superviseIntervalSeconds: 1, monitorIntervalSeconds: 1 },
  });
  boss.on("error", () => {});
  await boss.start();
  let queues = 0;
  return {
    service,
    async open(options) {
      const outbox = pgBossOutbox(boss, { ...options, queue: `mail-${++queues}`, heartbeat: 10 });
      await outbox.install();
      const start = outbox.work.bind(outbox);
      return Object.assign(outbox, { work: (more?: WorkOptions) => start({ ...more, poll: 0.05 }) });
    },
    smuggle: async (id, data) => void (await boss.send(`mail-${queues}`, data, { id })),
    async waits(id) {
      const [job] = await boss.findJobs(`mail-${queues}`, { id });
      return job !== undefined && ["created", "retry", "active"].includes(job.state);
    },
    async close() {
      await boss.stop({ graceful: false });
      await service.close();
    },
  };
}
