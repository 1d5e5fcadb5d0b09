/**
 * `npm run bench`: measures everything on the three runtimes and writes the report. Parts, whose results are kept
 * beside those of other runs: `npm run bench -- --workloads M1,M2 --runtimes node --reps 5`. The report alone: `--
 * --report`. With `--subjects`, for a quick look, nothing is kept.
 */
import { parseArgs } from "node:util";
import { circumstancesNow } from "./lib/circumstances.mjs";
import { prepare } from "./lib/corpus.mjs";
import { buildInstruments } from "./lib/instruments.mjs";
import { Lane } from "./lib/measure.mjs";
import { planRuns } from "./lib/plan.mjs";
import { writeReport } from "./lib/report.mjs";
import { beginRun, inUnit } from "./lib/results.mjs";
import { RUNTIMES, WORKLOADS } from "./lib/workloads.mjs";
import { SUBJECTS } from "./subjects/index.mjs";

/** Workloads that mostly wait for the delay line run in parallel. */
const SLEEPY_LANES = 16;

const { values: options } = parseArgs({
  options: {
    workloads: { type: "string" },
    runtimes: { type: "string" },
    subjects: { type: "string" },
    reps: { type: "string", default: "7" },
    report: { type: "boolean", default: false },
  },
});

if (!options.report) await measureAll();
if (options.subjects === undefined) writeReport();

async function measureAll() {
  const workloads = chosen("workloads", Object.keys(WORKLOADS));
  buildInstruments();
  for (const name of workloads) prepare(WORKLOADS[name]);
  const runs = await planRuns({
    workloads,
    runtimes: chosen("runtimes", RUNTIMES),
    subjects: options.subjects && chosen("subjects", SUBJECTS),
    repetitions: Number(options.reps),
  });
  const keep = options.subjects === undefined ? beginRun(circumstancesNow()) : () => {};
  const sleepy = runs.filter(({ name }) => WORKLOADS[name].delay !== undefined);
  const busy = runs.filter((run) => !sleepy.includes(run));
  const progress = tellProgress(runs.length);
  await runAll(busy, 1, keep, progress);
  await runAll(sleepy, SLEEPY_LANES, keep, progress);
}

async function runAll(runs, laneCount, keep, progress) {
  const waiting = runs.values();
  const lanes = Array.from({ length: Math.min(laneCount, runs.length) }, () => new Lane());
  const work = async (lane) => {
    for (const run of waiting) {
      const row = await lane.measure(run);
      keep(row);
      progress(row);
    }
    lane.close();
  };
  await Promise.all(lanes.map(work));
}

function tellProgress(total) {
  let done = 0;
  return (row) => {
    const { workload, runtime, subject } = row;
    const what = `${String(++done).padStart(4)}/${total} ${workload.padEnd(3)} ${runtime.padEnd(4)} ${subject.padEnd(16)}`;
    if (row.ok) console.log(`${what} ${inUnit(row).toFixed(1).padStart(10)} ${WORKLOADS[workload].unit}`);
    else console.log(`${what} does not count: ${JSON.stringify(row.why)}`);
  };
}

function chosen(option, all) {
  const names = options[option]?.split(",") ?? all;
  const unknown = names.filter((name) => !all.includes(name));
  if (unknown.length === 0) return names;
  throw new Error(`--${option}: there is no ${unknown.join(", ")}; there are ${all.join(", ")}`);
}
