/**
 * Memory with many waiting messages: of a worker's process, which delivers the same number each time, and of the
 * queue's server. The messages are copies of one that `enqueue()` has queued. Prints a line of JSON.
 * `scripts/outbox-scale.mjs` runs it.
 */
import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Queue } from "bullmq";
import pg from "pg";
import { Program } from "../crash/processes.ts";
import { connectQueues, type QueueName, type Queues } from "../queues.ts";
import { freePort, startPostgres, startRedis } from "../services.ts";
import { BODY, memoryOf } from "./measures.ts";

type Settings = { readonly queue: QueueName; readonly waiting: readonly number[]; readonly folder: string };

/** The number of messages that the worker delivers before its memory is measured. */
const DELIVERED = 2000;

const { queue: name, waiting, folder }: Settings = JSON.parse(process.argv[2] ?? "{}");
const service = name === "redis" ? await startRedis({ appendonly: "no" }) : await startPostgres();
const mailPort = await freePort();
const mailSettings = { port: mailPort, log: join(service.dir, "taken"), seed: 1, calm: true };
const mailServer = new Program([process.execPath, join(folder, "mail-server.mjs"), JSON.stringify(mailSettings)]);
try {
  await mailServer.start();
  const queues = await connectQueues(name, service.port);
  const outbox = await queues.open({ connect: () => ({ host: "127.0.0.1", port: mailPort }) });
  const { jobs } = await outbox.enqueue({ from: "ada@example.com", to: ["charles@example.net"] }, BODY);
  const results: object[] = [];
  for (const count of waiting) results.push(await measured(queues, jobs[0]?.id ?? "", count));
  console.log(JSON.stringify(results));
  await queues.close();
} finally {
  await mailServer.kill();
  await service.close();
}
process.exit(0);

async function measured(queues: Queues, model: string, count: number): Promise<object> {
  const before = { memory: await memoryOf(name, service.port), waiting: await queues.waiting() };
  const copies = count - before.waiting;
  await (name === "redis" ? fillRedis(model, copies) : fillPostgres(model, copies));
  const after = await memoryOf(name, service.port);
  return {
    ...{ queue: name, waiting: await queues.waiting(), octetsAMessage: Math.round((after - before.memory) / copies) },
    ...(await workerMemory()),
  };
}

/** Starts a worker's process, and measures its memory after it has delivered this many messages. */
async function workerMemory(): Promise<object> {
  let done = 0;
  let enough: () => void = () => {};
  const delivered = new Promise<void>((resolve) => {
    enough = resolve;
  });
  const settings = { queue: name, port: service.port, mailPort, unknown: "hold", concurrency: 20 };
  const command = [process.execPath, join(folder, "worker.mjs"), JSON.stringify(settings)] as const;
  const worker = new Program(command, (line) => {
    if (line.startsWith("done ") && ++done === DELIVERED) enough();
  });
  await worker.start();
  await delivered;
  const status = readFileSync(`/proc/${worker.pid}/status`, "utf8");
  await worker.kill();
  const megabytes = (field: string): number => Number(new RegExp(`${field}:\\s+(\\d+)`).exec(status)?.[1]) / 1024;
  return { workerMegabytes: Math.round(megabytes("VmRSS")), workerMostMegabytes: Math.round(megabytes("VmHWM")) };
}

async function fillRedis(model: string, count: number): Promise<void> {
  const queue = new Queue("mail-1", { connection: { host: "127.0.0.1", port: service.port } });
  const job = await queue.getJob(model);
  if (job === undefined) throw new Error("the message is not in the queue any more");
  const { name: kind, data, opts } = job;
  for (let left = count; left > 0; left -= 5000) {
    const ids = Array.from({ length: Math.min(left, 5000) }, () => randomUUID());
    await queue.addBulk(ids.map((id) => ({ name: kind, data: { ...data, id }, opts: { ...opts, jobId: id } })));
  }
  await queue.close();
}

async function fillPostgres(model: string, count: number): Promise<void> {
  const client = new pg.Client({ host: "127.0.0.1", port: service.port, user: "postgres" });
  await client.connect();
  await client.query(
    `INSERT INTO pgboss.job SELECT (jsonb_populate_record(job, jsonb_build_object('id', copy.id, 'state', 'created',
      'data', jsonb_set(job.data, '{id}', to_jsonb(copy.id))))).*
      FROM pgboss.job, (SELECT gen_random_uuid() AS id FROM generate_series(1, $2::int)) AS copy WHERE job.id = $1`,
    [model, count],
  );
  await client.end();
}
