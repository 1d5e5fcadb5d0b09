/**
 * The crash test of one queue: messages pass while workers are killed and frozen, and Redis or PostgreSQL and the mail
 * server are killed and restarted. Prints the outcomes of the messages as JSON. `scripts/outbox.mjs` runs it.
 */
import { existsSync, readdirSync, readFileSync, statSync, truncateSync } from "node:fs";
import { join } from "node:path";
import type { Enqueued, UnknownPolicy } from "../../../src/outbox/index.ts";
import { Random } from "../../seeds/random.ts";
import { type AnyOutbox, connectQueues, type QueueName } from "../queues.ts";
import { freePort, type Service, startPostgres, startRedis } from "../services.ts";
import { makeFaults } from "./chaos.ts";
import { Program } from "./processes.ts";

type Settings = {
  readonly queue: QueueName;
  /** With Redis: "everysec" also loses the writes of the last second before it is killed, as a power failure does. */
  readonly appendfsync: "always" | "everysec";
  readonly unknown: UnknownPolicy;
  readonly messages: number;
  readonly workers: number;
  readonly seed: number;
  /** The maximum number of seconds in which faults are made. */
  readonly faults: number;
  /** The command that runs a worker, and the folder of the bundles. */
  readonly command: readonly [string, ...string[]];
  readonly folder: string;
};

/** The maximum number of recipients of a message. */
const MOST = 3;

const settings: Settings = JSON.parse(process.argv[2] ?? "{}");
const { queue: name, unknown, messages, seed, folder } = settings;
const random = new Random(seed);
const sizes: { readonly at: number; readonly size: number }[] = [];
let resolved = 0;
let done = 0;
const faultsSeen: string[] = [];
/** The name of each message in the queue. */
const ids: (string | undefined)[] = [];
/** The time at which a worker first knew that the message of that name had been delivered; milliseconds since 1970. */
const knownAt = new Map<string, number>();

const service = name === "redis" ? await startRedis({ appendfsync: settings.appendfsync }) : await startPostgres();
const log = join(service.dir, "taken");
const mailPort = await freePort();
const mailServer = new Program([
  process.execPath,
  join(folder, "mail-server.mjs"),
  JSON.stringify({ port: mailPort, log, seed }),
]);
const workerSettings = { queue: name, port: service.port, mailPort, unknown, concurrency: 20 };
const [command, ...args] = settings.command;
const workers = Array.from(
  { length: settings.workers },
  () => new Program([command, ...args, join(folder, "worker.mjs"), JSON.stringify(workerSettings)], heard),
);

process.once("SIGTERM", () => {
  endAll().finally(() => process.exit(1));
});

try {
  await mailServer.start();
  const queues = await connectQueues(name, service.port);
  const outbox = await queues.open({ connect: () => ({ host: "127.0.0.1" }), timeout: 5 });
  console.log(JSON.stringify(await play(outbox, queues.waiting)));
  await Promise.all([...workers, mailServer].map((one) => one.kill()));
  await queues.close();
} finally {
  await endAll();
}
process.exit(0);

async function endAll(): Promise<void> {
  await Promise.all([...workers, mailServer].map((one) => one.kill()));
  await service.close();
}

async function play(outbox: AnyOutbox, waiting: () => Promise<number>): Promise<object> {
  const began = performance.now();
  const watched = setInterval(watchLog, 100);
  await Promise.all(workers.map((one) => one.start()));
  let isQueued = false;
  const queued = enqueueAll(outbox).then(() => {
    isQueued = true;
  });
  // Until most messages have passed: the rest shows how long the recovery takes.
  const isOver = (): boolean => isQueued && done + resolved > messages * 0.9;
  const limit = performance.now() + settings.faults * 1000;
  const faults = await makeFaults(
    { workers, mailServer, restartQueue, lock: name === "redis" ? 2 : 12 },
    random,
    () => isOver() || performance.now() > limit,
  );
  await queued;
  const faultless = performance.now();
  const recovered = await settled(outbox, waiting);
  clearInterval(watched);
  const seconds = { all: (faultless - began) / 1000, recovery: Math.max(0, recovered - faultless) / 1000 };
  return { ...(await account(outbox, waiting)), resolved, faults, seconds, faultsSeen };
}

/** Enqueues each message until it is in the queue, even if the queue is repeatedly unavailable meanwhile. */
async function enqueueAll(outbox: AnyOutbox): Promise<void> {
  let next = 0;
  const one = async (): Promise<void> => {
    for (let number = next++; number < messages; number = next++) {
      const body = `X-Number: ${number}\r\nSubject: Message ${number}\r\n\r\n${"Lorem ipsum dolor sit amet. ".repeat(20)}\r\n`;
      const envelope = { from: "ada@example.com", to: recipientsOf(number).map((one) => `${one}@example.net`) };
      while (ids[number] === undefined) {
        ids[number] = await outbox.enqueue(envelope, body, { key: `message ${number}` }).then(idOf, nothing);
      }
    }
  };
  await Promise.all(Array.from({ length: 20 }, one));
}

/** The numbers of a message's recipients: one, two or three. */
function recipientsOf(message: number): number[] {
  return Array.from({ length: 1 + (message % MOST) }, (_, index) => message * MOST + index);
}

function idOf({ jobs }: Enqueued): string | undefined {
  return jobs[0]?.id;
}

function nothing(): undefined {}

/** Waits until only held messages wait, and nothing changes any more; returns the time at which that began. */
async function settled(outbox: AnyOutbox, waiting: () => Promise<number>): Promise<number> {
  const limit = performance.now() + 300_000;
  let since = performance.now();
  let last = "";
  while (performance.now() < limit) {
    const [left, held] = await Promise.all([waiting(), outbox.held()]);
    if (`${left} ${held.length}` !== last) since = performance.now();
    last = `${left} ${held.length}`;
    // A pending answer arrives as soon as its worker is awake; under "retry", messages with an unknown outcome are sent
    // again.
    const isQuiet = unknown === "retry" ? left === 0 : left <= held.length;
    if (isQuiet && performance.now() - since > 8000) break;
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
  return since;
}

/** Counts the recipients' outcomes from the server's record and from the queue. */
async function account(outbox: AnyOutbox, waiting: () => Promise<number>): Promise<object> {
  const recipients = ids.flatMap((_, message) => recipientsOf(message));
  const copies = new Uint8Array(messages * MOST);
  const refused = new Set<number>();
  let needless = 0;
  for (const { what, recipient, at } of written()) {
    if (what === "refused") {
      refused.add(recipient);
      continue;
    }
    const before = copies[recipient] ?? 0;
    copies[recipient] = before + 1;
    if (before > 0 && at > knownSince(recipient)) needless++;
  }
  const [held, dead, left] = await Promise.all([outbox.held(), outbox.deadLetters(0, 99_999), waiting()]);
  const known = new Set([...held, ...dead].map(({ id }) => id));
  const isKnown = (recipient: number): boolean => known.has(ids[Math.floor(recipient / MOST)] ?? "");
  // Recipients without a copy were refused, or their message is held or given up.
  const missing = recipients.filter((one) => copies[one] === 0);
  const lost = missing.filter((one) => !refused.has(one) && !isKnown(one)).length;
  return {
    recipients: recipients.length,
    delivered: recipients.length - missing.length,
    doubled: copies.filter((count) => count > 1).length,
    // Copies that were sent after a worker knew that the message had been delivered.
    needless,
    // Unknown while messages wait.
    lost: left > held.length ? undefined : lost,
    held: held.length,
    rejected: missing.filter((one) => refused.has(one)).length,
    waiting: Math.max(0, left - held.length),
  };
}

/** The time at which a worker first knew that the message of a recipient was delivered. */
function knownSince(recipient: number): number {
  return knownAt.get(ids[Math.floor(recipient / MOST)] ?? "") ?? Number.POSITIVE_INFINITY;
}

/** The server's record: each accepted or refused recipient, and the time. */
function written(): { readonly what: string; readonly recipient: number; readonly at: number }[] {
  const lines = existsSync(log) ? readFileSync(log, "utf8").trim().split("\n") : [];
  return lines.map((line) => {
    const [what = "", recipient, at] = line.split(" ");
    return { what, recipient: Number(recipient), at: Number(at) };
  });
}

async function restartQueue(): Promise<void> {
  await service.kill();
  if (settings.appendfsync === "everysec") loseASecond(service);
  await new Promise((resolve) => setTimeout(resolve, random.between(0, 300)));
  await service.start();
}

function heard(line: string): void {
  const [event, id = "", at] = line.split(" ");
  if (event === "done") done++;
  else if (event === "resolved") resolved++;
  if (event === "done" || event === "resolved") knownAt.set(id, Math.min(Number(at), knownAt.get(id) ?? Number(at)));
  else if (line.startsWith("fault") && faultsSeen.length < 5) faultsSeen.push(line.slice(0, 2000));
}

function watchLog(): void {
  const file = appendOnlyFile(service);
  if (file !== undefined) sizes.push({ at: Date.now(), size: statSync(file).size });
}

/**
 * A killed process loses nothing that the kernel has; a power failure loses everything that was not flushed to the
 * disk.
 */
function loseASecond(redis: Service): void {
  const file = appendOnlyFile(redis);
  const kept = sizes.filter(({ at }) => at < Date.now() - 1000).at(-1);
  if (file !== undefined && kept !== undefined && kept.size < statSync(file).size) truncateSync(file, kept.size);
}

function appendOnlyFile({ dir }: Service): string | undefined {
  const folderOfFiles = join(dir, "appendonlydir");
  if (!existsSync(folderOfFiles)) return undefined;
  const file = readdirSync(folderOfFiles).find((one) => one.endsWith(".incr.aof"));
  return file === undefined ? undefined : join(folderOfFiles, file);
}
