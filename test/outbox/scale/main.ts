/**
 * The cost of an outbox: rates, operations and bytes for each message, memory of queued messages. Prints them as JSON.
 * `scripts/outbox-scale.mjs` runs it.
 */
import { join } from "node:path";
import { Program } from "../crash/processes.ts";
import { type AnyOutbox, connectQueues, type QueueName } from "../queues.ts";
import { freePort, startPostgres, startRedis } from "../services.ts";
import { BODY, postgresRow, redisInfo } from "./measures.ts";

type Settings = { readonly queue: QueueName; readonly messages: number; readonly folder: string };

/** Counters of the queue's server since its start; `memory` is the current value. */
type Counters = Readonly<Record<string, number>>;

const { queue, messages, folder }: Settings = JSON.parse(process.argv[2] ?? "{}");
const service = queue === "redis" ? await startRedis() : await startPostgres();
const mailPort = await freePort();
const settings = { port: mailPort, log: join(service.dir, "taken"), seed: 1, calm: true };
const mailServer = new Program([process.execPath, join(folder, "mail-server.mjs"), JSON.stringify(settings)]);
try {
  await mailServer.start();
  console.log(JSON.stringify(await measured()));
} finally {
  await mailServer.kill();
  await service.close();
}
process.exit(0);

async function measured(): Promise<object> {
  const connect = () => ({ host: "127.0.0.1", port: mailPort, maxConnections: 20 });
  const queues = await connectQueues(queue, service.port);
  const outbox = await queues.open({ connect });
  const counters = queue === "redis" ? redisCounters : postgresCounters;
  const before = await counters();
  const enqueued = await seconds(() => enqueueAll(outbox));
  const queued = await counters();
  const worker = await outbox.work({ concurrency: 20 });
  const delivered = await seconds(async () => {
    while ((await queues.waiting()) > 0) await new Promise((resolve) => setTimeout(resolve, 200));
  });
  await worker.close();
  const after = await counters();
  const rates = { enqueued: messages / enqueued, delivered: messages / delivered };
  const perMessage = { enqueue: difference(before, queued), deliver: difference(queued, after) };
  await queues.close();
  return { queue, messages, rates, perMessage };
}

async function enqueueAll(outbox: AnyOutbox): Promise<void> {
  let next = 0;
  const one = async (): Promise<void> => {
    while (next++ < messages) await outbox.enqueue({ from: "ada@example.com", to: ["charles@example.net"] }, BODY);
  };
  await Promise.all(Array.from({ length: 20 }, one));
}

async function seconds(run: () => Promise<unknown>): Promise<number> {
  const began = performance.now();
  await run();
  return (performance.now() - began) / 1000;
}

function difference(before: Counters, after: Counters): Counters {
  return Object.fromEntries(
    Object.entries(after).map(([name, value]) => [
      name,
      Math.round(((value - (before[name] ?? 0)) / messages) * 10) / 10,
    ]),
  );
}

async function redisCounters(): Promise<Counters> {
  const number = await redisInfo(service.port);
  return {
    commands: number("total_commands_processed"),
    octetsIn: number("total_net_input_bytes"),
    octetsOut: number("total_net_output_bytes"),
    memory: number("used_memory"),
    log: number("aof_current_size"),
  };
}

async function postgresCounters(): Promise<Counters> {
  // PostgreSQL writes statistics with a delay.
  await new Promise((resolve) => setTimeout(resolve, 1500));
  return postgresRow(
    service.port,
    `SELECT xact_commit::float8 AS transactions, pg_database_size('postgres')::float8 AS memory,
      pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::float8 AS log FROM pg_stat_database WHERE datname = 'postgres'`,
  );
}
