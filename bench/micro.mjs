/** `node bench/micro.mjs`: the reply parser and the body encoders on the three runtimes, into the report. */
import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { microFile } from "./lib/micro-report.mjs";
import "../scripts/ensure-built.mjs";
import { BENCH, COMMANDS, ensureCache } from "./lib/paths.mjs";
import { writeReport } from "./lib/report.mjs";

ensureCache();
for (const [runtime, [file, ...args]] of Object.entries(COMMANDS)) {
  console.log(`micro-benchmarks on ${runtime}`);
  const { status, stdout } = spawnSync(file, [...args, join(BENCH, "micro/main.mjs")], {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "inherit"],
  });
  if (status !== 0) throw new Error(`the micro-benchmarks failed on ${runtime}`);
  writeFileSync(microFile(runtime), stdout);
}
writeReport();
