/**
 * Every small case: two messages, and all actions of a server, a caller, a body and a clock, up to a number of
 * deviations from a good session; see `test/exhaustive/explore.ts`. Prints states and paths, and each finding with the
 * path that leads to it. `npm run exhaustive -- --deviations 1 --chunks 2 --only "smtp eager" --runtime bun`; `--small`
 * is the bound of CI.
 */
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";
import { bundle } from "./programs.mjs";
import { commands } from "./runtimes.mjs";

const root = join(import.meta.dirname, "..");
const { values } = parseArgs({
  options: {
    small: { type: "boolean", default: false },
    deviations: { type: "string", default: "2" },
    chunks: { type: "string", default: "1" },
    only: { type: "string", default: "" },
    runtime: { type: "string", default: "node" },
    processes: { type: "string", default: String(availableParallelism()) },
  },
});

/** One deviation in each configuration would take minutes: in CI these have one, and the others none. */
const SMALL = /^(smtp \S+ string\/string 2\/1|lmtp \S+ driven\/string 1\/2)$/;

const folder = mkdtempSync(join(root, "node_modules/.exhaustive-"));
const sum = { configurations: 0, states: 0, paths: 0, longest: 0, found: 0 };
const begun = Date.now();
try {
  await bundle(["test/exhaustive/main.ts", "test/exhaustive/configurations.ts"], folder);
  const { configurations } = await import(join(folder, "configurations.mjs"));
  const all = configurations(Number(values.chunks));
  const chosen = [...all.keys()].filter((index) => new RegExp(values.only).test(all[index].name));
  if (values.small) {
    const [deep, flat] = [true, false].map((is) => chosen.filter((index) => SMALL.test(all[index].name) === is));
    await explore(flat, 0);
    await explore(deep, 1);
  } else await explore(chosen, Number(values.deviations));
} finally {
  rmSync(folder, { recursive: true, force: true });
}
const { configurations, states, paths, longest, found } = sum;
const seconds = (Date.now() - begun) / 1000;
const result = `${states.toLocaleString("en")} states, ${paths.toLocaleString("en")} paths of up to ${longest} events`;
console.log(`${configurations} configurations, ${result}`);
console.log(
  `${found} findings; ${seconds.toFixed(0)} s on ${values.runtime}, ${Math.round(paths / seconds)} paths a second`,
);
process.exitCode = found === 0 && configurations > 0 ? 0 : 1;
if (values.small && values.only === "" && !readFileSync(join(root, "docs/trust.md"), "utf8").includes(result)) {
  console.log("docs/trust.md has other numbers for this bound");
  process.exitCode = 1;
}

/** Explores these configurations, divided among the processes. */
async function explore(indexes, deviations) {
  const processes = Math.min(Number(values.processes), indexes.length);
  const shares = Array.from({ length: processes }, (_, n) => indexes.filter((_, at) => at % processes === n));
  console.log(`\n${indexes.length} configurations, up to ${deviations} deviations`);
  await Promise.all(shares.map((share) => run([deviations, values.chunks, ...share])));
}

async function run(args) {
  const [file, ...options] = commands("--max-semi-space-size=32")[values.runtime];
  const child = spawn(file, [...options, join(folder, "main.mjs"), ...args], {
    cwd: root,
    stdio: ["ignore", "pipe", "inherit"],
  });
  const ended = new Promise((resolve) => child.once("close", resolve));
  for await (const line of createInterface({ input: child.stdout })) print(JSON.parse(line));
  const code = await ended;
  if (code === 0) return;
  console.log(`a process ended with ${code}`);
  sum.found++;
}

function print({ name, states, paths, longest, seconds, found }) {
  const numbers = [states, paths, longest].map((number) => String(number).padStart(9)).join("");
  console.log(`${name.padEnd(56)}${numbers}${seconds.toFixed(1).padStart(8)} s`);
  for (const { rule, detail, path } of found) console.log(`  ${rule}\n    ${detail}\n    path: ${path.join(", ")}`);
  sum.configurations++;
  sum.states += states;
  sum.paths += paths;
  sum.longest = Math.max(sum.longest, longest);
  sum.found += found.length;
}
