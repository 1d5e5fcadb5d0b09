/**
 * Measures the cost of an outbox on Redis and PostgreSQL, for docs/scale.md: `node scripts/outbox-scale.mjs --messages
 * 5000`. One worker with 20 messages at a time, messages of one kilobyte, a mail server on the same machine that
 * accepts all. `--waiting 10000,100000,1000000` measures memory instead, with so many waiting messages; `--queues
 * redis` measures only that queue.
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { bundle } from "./programs.mjs";

const root = join(import.meta.dirname, "..");
const { values } = parseArgs({
  options: {
    messages: { type: "string", default: "5000" },
    waiting: { type: "string" },
    queues: { type: "string", default: "redis,postgresql" },
  },
});
const program = values.waiting === undefined ? "main" : "backlog";
const measured =
  values.waiting === undefined
    ? { messages: Number(values.messages) }
    : { waiting: values.waiting.split(",").map(Number) };
const folder = mkdtempSync(join(root, "node_modules/.outbox-"));
try {
  const crash = ["mail-server", "worker"].map((name) => `test/outbox/crash/${name}.ts`);
  await bundle([`test/outbox/scale/${program}.ts`, ...crash], folder);
  for (const queue of values.queues.split(",")) {
    const settings = { queue, folder, ...measured };
    const output = execFileSync(process.execPath, [join(folder, `${program}.mjs`), JSON.stringify(settings)], {
      cwd: root,
    });
    console.log(JSON.stringify(JSON.parse(String(output).trim().split("\n").at(-1)), undefined, 2));
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
