/**
 * Random schedules of the pool: each seed is a scenario of a pool, its server, its network and its caller, played on a
 * virtual clock (`test/seeds/`). `node scripts/seeds.mjs` plays 100,000 seeds on each runtime; `-- --seed N` plays one,
 * step by step, and shrinks it if it fails; `--seed N --count M` plays M from N on; `--breaks` plants faults in the
 * pool, and fails if one goes unnoticed (`--only "ready"`: those whose names contain that). `--runtimes node,bun`,
 * `--jobs 2`.
 */
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join, relative } from "node:path";
import { parseArgs } from "node:util";
import { build } from "esbuild";
import { BREAKS } from "../test/seeds/breaks.mjs";
import { commands } from "./runtimes.mjs";

const root = join(import.meta.dirname, "..");
const { values } = parseArgs({
  options: {
    seed: { type: "string" },
    count: { type: "string" },
    runtimes: { type: "string", default: "node,deno,bun" },
    jobs: { type: "string", default: String(availableParallelism()) },
    breaks: { type: "boolean", default: false },
    only: { type: "string", default: "" },
  },
});

// The garbage of a scenario is short-lived: uses a large young generation, and no threads that take time from other
// workers.
const GC = ["--single-threaded-gc", "--min-semi-space-size=32", "--max-semi-space-size=32"];
const COMMANDS = commands(...GC);

/** The number of seeds for one process, and the maximum milliseconds between two lines of its output. */
const CHUNK = 25_000;
const PATIENCE = 180_000;

/** The number of seeds, one of which has to notice a fault. */
const SEEDS_FOR_A_BREAK = 60_000;

const folder = mkdtempSync(join(root, "node_modules/.seeds-"));
const runtimes = values.runtimes.split(",");
let failed = false;
try {
  if (values.breaks) await playBreaks();
  else if (values.seed !== undefined && values.count === undefined) await showSeed();
  else await playRange(Number(values.seed ?? 1), Number(values.count ?? 100_000));
} finally {
  rmSync(folder, { recursive: true, force: true });
}
process.exitCode = failed ? 1 : 0;

/** The scenarios and the pool in one file; `broken`: with one piece of the sources replaced. */
async function bundle(name, broken) {
  await build({
    entryPoints: [join(root, "test/seeds/main.ts")],
    outfile: join(folder, `${name}.mjs`),
    bundle: true,
    format: "esm",
    platform: "node",
    target: "es2022",
    logLevel: "error",
    plugins: broken === undefined ? [] : [breaking(broken)],
  });
  return join(folder, `${name}.mjs`);
}

/** Plants a fault in a source. */
function breaking({ file, from, to }) {
  return {
    name: "break",
    setup({ onLoad }) {
      onLoad({ filter: /\.ts$/ }, ({ path }) => {
        if (relative(root, path) !== file) return undefined;
        return { contents: readFileSync(path, "utf8").replace(from, () => to), loader: "ts" };
      });
    },
  };
}

/** True if the source of a fault has changed since. */
function isStale({ file, from }) {
  return readFileSync(join(root, file), "utf8").split(from).length !== 2;
}

async function showSeed() {
  const file = await bundle("main");
  for (const runtime of runtimes) {
    const [command, ...args] = COMMANDS[runtime];
    console.log(`##### ${runtime}`);
    const child = spawn(command, [...args, file, "one", values.seed], { stdio: "inherit" });
    failed = (await exitOf(child)) !== 0 || failed;
  }
}

async function playRange(first, count) {
  const file = await bundle("main");
  const began = performance.now();
  const chunks = runtimes.flatMap((runtime) =>
    Array.from({ length: Math.ceil(count / CHUNK) }, (_, index) => {
      const from = first + index * CHUNK;
      return { runtime, from, count: Math.min(CHUNK, first + count - from) };
    }),
  );
  const results = await inParallel(chunks, async (chunk) => ({
    ...chunk,
    ...(await play(chunk.runtime, file, chunk)),
  }));
  console.log(`seeds ${first} to ${first + count - 1}`);
  print(results);
  for (const { runtime, failures } of results) {
    for (const { seed, rule, detail } of failures) {
      failed = true;
      console.log(`\n${runtime}, seed ${seed}: ${rule}\n  ${detail}`);
      console.log(`  node scripts/seeds.mjs -- --seed ${seed} --runtimes ${runtime}`);
    }
  }
  const seconds = Math.round((performance.now() - began) / 1000);
  console.log(failed ? "FAILED" : `no promise of the pool is broken; ${seconds} s`);
}

function print(results) {
  const rows = {
    seeds: (sum) => sum("seeds"),
    calls: (sum) => sum("calls"),
    "messages delivered": (sum) => sum("delivered"),
    connections: (sum) => sum("connections"),
    turns: (sum) => sum("turns"),
    "days on the scenarios' clocks": (sum) => (sum("hours") / 24).toFixed(1),
    "seeds that break a promise": (_, all) => all.flatMap(({ failures }) => failures).length,
    "digest of what happened": (_, all) => (all.reduce((digest, one) => digest ^ one.digest, 0) >>> 0).toString(16),
    "seconds of a processor": (sum) => sum("cpu").toFixed(0),
    "seeds a second": (sum) => Math.round(sum("seeds") / sum("cpu")),
  };
  console.log(`${"".padEnd(32)}${runtimes.map((name) => name.padStart(12)).join("")}`);
  for (const [title, cell] of Object.entries(rows)) {
    const cells = runtimes.map((runtime) => {
      const all = results.filter((one) => one.runtime === runtime);
      return cell((name) => all.reduce((sum, one) => sum + one[name], 0), all);
    });
    console.log(`${title.padEnd(32)}${cells.map((one) => String(one).padStart(12)).join("")}`);
  }
}

async function playBreaks() {
  const [runtime] = runtimes;
  const breaks = BREAKS.filter(({ what }) => what.includes(values.only));
  let noticed = 0;
  await inParallel([...breaks.entries()], async ([index, broken]) => {
    if (isStale(broken)) return report(broken, "STALE: the text to be broken does not stand there once", false);
    const file = await bundle(`break-${index}`, broken);
    const { failures, seeds } = await play(runtime, file, { from: 1, count: SEEDS_FOR_A_BREAK, enough: 1 });
    const [failure] = failures;
    if (failure === undefined) return report(broken, `SURVIVED ${seeds} seeds`, false);
    noticed++;
    report(broken, `seed ${String(failure.seed).padEnd(6)} ${failure.rule}`, true);
  });
  console.log(`${noticed} of ${breaks.length} breaks noticed, on ${runtime}`);
}

function report({ what }, verdict, isNoticed) {
  failed ||= !isNoticed;
  console.log(`${what.padEnd(72)} ${verdict}`);
}

/** Plays a range of seeds in a separate process, and returns the sums. */
async function play(runtime, file, { from, count, enough = 5 }) {
  const [command, ...args] = COMMANDS[runtime];
  const child = spawn(command, [...args, file, "range", from, count, enough], { stdio: ["ignore", "pipe", "pipe"] });
  let lastLine = "";
  let errors = "";
  let alarm = setTimeout(() => child.kill("SIGKILL"), PATIENCE);
  child.stderr.setEncoding("utf8").on("data", (text) => {
    errors += text;
  });
  child.stdout.setEncoding("utf8").on("data", (text) => {
    clearTimeout(alarm);
    alarm = setTimeout(() => child.kill("SIGKILL"), PATIENCE);
    lastLine =
      `${lastLine.endsWith("\n") ? "" : lastLine}${text}`.trimEnd().split("\n").at(-1) +
      (text.endsWith("\n") ? "\n" : "");
  });
  const status = await exitOf(child);
  clearTimeout(alarm);
  if (lastLine.startsWith("{")) return JSON.parse(lastLine);
  const detail = `seeds ${lastLine.trim()} and later do not end: ${status} ${errors.slice(0, 2_000)}`;
  const failures = [{ seed: Number(lastLine) || from, rule: "a scenario ends", detail }];
  return { seeds: 0, turns: 0, calls: 0, delivered: 0, connections: 0, hours: 0, digest: 0, cpu: 0, failures };
}

function exitOf(child) {
  return new Promise((resolve) => child.once("close", (code, signal) => resolve(signal ?? code)));
}

/** Calls `work` for each item, on as many items at a time as there are processors; the results are in order. */
async function inParallel(all, work) {
  const results = [];
  const entries = all.entries();
  const worker = async () => {
    for (const [index, one] of entries) results[index] = await work(one);
  };
  await Promise.all(Array.from({ length: Number(values.jobs) }, worker));
  return results;
}
