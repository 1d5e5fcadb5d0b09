/**
 * Measures the cost of an outbox on Redis and PostgreSQL, for docs/scale.md: `node scripts/outbox-scale.mjs --messages
 * 5000`. One worker of 20 messages at a time, messages of one kilobyte, a mail server on the same machine that takes
 * all.
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { bundle } from "./programs.mjs";

const root = join(import.meta.dirname, "..");
const { values } = parseArgs({ options: { messages: { type: "string", default: "5000" } } });
const folder = mkdtempSync(join(root, "node_modules/.outbox-"));
try {
  await bundle(["test/outbox/scale/main.ts", "test/outbox/crash/mail-server.ts"], folder);
  for (const queue of ["redis", "postgresql"]) {
    const settings = { queue, messages: Number(values.messages), folder };
    const output = execFileSync(process.execPath, [join(folder, "main.mjs"), JSON.stringify(settings)], { cwd: root });
    console.log(JSON.stringify(JSON.parse(String(output).trim().split("\n").at(-1)), undefined, 2));
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
