/**
 * Runs the hostile scenarios on the three runtimes; `node test/hostile/table.mjs` prints a table with a row for each
 * scenario and a column for each runtime.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { commands } from "../../scripts/runtimes.mjs";

const vitest = "node_modules/vitest/vitest.mjs";
const runtimes = Object.entries(commands()).map(([name, [command, ...args]]) => ({
  name,
  command,
  args: [...args, vitest],
}));

const folder = mkdtempSync(join(tmpdir(), "hostile-"));
const rows = new Map();
let failed = false;

for (const [column, { name, command, args }] of runtimes.entries()) {
  const file = join(folder, `${name}.json`);
  const options = ["run", "test/hostile", "--reporter=json", `--outputFile=${file}`];
  const { status, stderr } = spawnSync(command, [...args, ...options], { encoding: "utf8" });
  failed ||= status !== 0;
  if (status !== 0) process.stderr.write(stderr);
  for (const { title, ancestorTitles, status: outcome } of assertionsOf(file)) {
    const key = [...ancestorTitles, title.replace(/ \(seed \d+\)/, "")].join(" ").trim();
    const row = rows.get(key) ?? runtimes.map(() => "missing");
    row[column] = outcome === "passed" ? "ok" : outcome.toUpperCase();
    rows.set(key, row);
  }
}

rmSync(folder, { recursive: true });
for (const [key, row] of rows) {
  console.log(`${row.map((cell) => cell.padEnd(8)).join("")}${key}`);
  failed ||= row.some((cell) => cell !== "ok");
}

const groups = new Map();
for (const key of rows.keys()) {
  const [, group = "others"] = /^\[([\w-]+)/.exec(key) ?? [];
  groups.set(group, (groups.get(group) ?? 0) + 1);
}
console.log(`\n${[...groups].map(([group, count]) => `${group} ${count}`).join(", ")}`);
console.log(`${runtimes.map(({ name }) => name.padEnd(8)).join("")}${rows.size} scenarios`);
process.exitCode = failed ? 1 : 0;

function assertionsOf(file) {
  const { testResults } = JSON.parse(readFileSync(file, "utf8"));
  return testResults.flatMap(({ assertionResults }) => assertionResults);
}
