/**
 * The crash test of the outbox: 20,000 messages for each row, while workers are killed and frozen, and Redis,
 * PostgreSQL and the mail server are killed and restarted. None may be lost; none may be doubled under "hold", and
 * under "retry" only those whose outcome was unknown. Prints a table for Markdown. `npm run test:outbox -- --messages
 * 400 --seed 1 --rows redis,postgresql --runtime node --faults 10 --parallel`: faults for ten seconds, and the rows at
 * the same time.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { bundle, printTable, resultOf } from "./programs.mjs";
import { commands } from "./runtimes.mjs";

const root = join(import.meta.dirname, "..");
const { values } = parseArgs({
  options: {
    messages: { type: "string", default: "20000" },
    workers: { type: "string", default: "4" },
    seed: { type: "string", default: String(Math.floor(Math.random() * 2 ** 31)) },
    rows: { type: "string", default: "redis,redis-retry,redis-everysec,postgresql,postgresql-retry" },
    runtime: { type: "string", default: "node" },
    faults: { type: "string", default: "300" },
    parallel: { type: "boolean", default: false },
  },
});

/** The rows; `loses`: data that is not flushed to disk may be lost, and then messages may be lost or doubled. */
const ROWS = {
  redis: { queue: "redis", unknown: "hold" },
  "redis-retry": { queue: "redis", unknown: "retry" },
  "redis-everysec": { queue: "redis", unknown: "hold", appendfsync: "everysec", loses: true },
  postgresql: { queue: "postgresql", unknown: "hold" },
  "postgresql-retry": { queue: "postgresql", unknown: "retry" },
};

const folder = mkdtempSync(join(root, "node_modules/.outbox-"));
let failed = false;
try {
  await bundle(
    ["main", "worker", "mail-server"].map((name) => `test/outbox/crash/${name}.ts`),
    folder,
  );
  console.log(`seed ${values.seed}: ${values.messages} messages, ${values.workers} workers on ${values.runtime}`);
  const names = values.rows.split(",");
  const results = [];
  for (const name of names) results.push(values.parallel ? play(name) : await play(name));
  print(names, await Promise.all(results));
} finally {
  rmSync(folder, { recursive: true, force: true });
}
process.exitCode = failed ? 1 : 0;

async function play(name) {
  const { loses: _, ...row } = ROWS[name];
  const settings = {
    ...{ appendfsync: "always", messages: Number(values.messages), workers: Number(values.workers) },
    ...{
      seed: Number(values.seed),
      faults: Number(values.faults),
      command: commands()[values.runtime],
      folder,
      ...row,
    },
  };
  const command = [process.execPath, join(folder, "main.mjs"), JSON.stringify(settings)];
  const result = await resultOf(name, command, 900_000);
  failed ||= result === undefined;
  return result;
}

function print(names, results) {
  const rows = {
    recipients: (r) => r.recipients,
    delivered: (r) => r.delivered,
    rejected: (r) => r.rejected,
    "held: nobody can know": (r) => r.held,
    "resolved by themselves": (r) => r.resolved,
    LOST: (r, name) => good(r.lost ?? "not known", r.lost === 0 || ROWS[name].loses),
    DOUBLED: (r, name) => good(r.doubled, r.doubled === 0 || ROWS[name].loses || ROWS[name].unknown === "retry"),
    "doubled, and known": (r, name) => good(r.needless, isPardoned(r, name) || r.needless === 0),
    "still waiting": (r) => good(r.waiting, r.waiting === 0),
    "workers killed": (r) => r.faults.killed,
    "workers frozen": (r) => r.faults.frozen,
    "queue restarted": (r) => r.faults.queue,
    "mail server restarted": (r) => r.faults.mail,
    "seconds with faults": (r) => r.seconds.all.toFixed(1),
    "seconds to recover": (r) => r.seconds.recovery.toFixed(1),
    "faults of the workers": (r) => good(r.faultsSeen.length, r.faultsSeen.length === 0),
  };
  printTable(rows, names, results, { titleWidth: 24, cellWidth: 16 });
  for (const result of results) for (const fault of result?.faultsSeen ?? []) console.log(fault);
  console.log(failed ? "FAILED" : "nothing lost or doubled against what each row promises");
}

/**
 * A worker that is frozen between its permission to send and the end of the message may send it after another worker
 * knew that it had been delivered.
 */
function isPardoned({ faults }, name) {
  return ROWS[name].loses || (ROWS[name].unknown === "retry" && faults.frozen > 0);
}

function good(value, isGood) {
  failed ||= !isGood;
  return isGood ? value : `${value} (!)`;
}
