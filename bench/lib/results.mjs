/** Raw results: a file of JSON lines for each run, in the cache. Reports use the newest ones. */
import { appendFileSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { max, median, min, quantileSorted } from "simple-statistics";
import { ensureCache, RESULTS } from "./paths.mjs";
import { WORKLOADS } from "./workloads.mjs";

/** Starts the file of a run, which begins with its circumstances; returns a function that adds a row. */
export function beginRun(circumstances) {
  ensureCache();
  const file = join(RESULTS, `${circumstances.date.replaceAll(":", "-")}.jsonl`);
  const add = (row) => appendFileSync(file, `${JSON.stringify(row)}\n`);
  add({ circumstances });
  return add;
}

/** The results: of each workload on each runtime, its newest run, with the circumstances of those runs. */
export class Results {
  #rows;
  runs;

  constructor(files) {
    const newest = new Map();
    for (const { circumstances, rows } of files) {
      for (const row of rows) newest.set(keyOf(row), circumstances.date);
    }
    const counting = files.map(({ circumstances, rows }) => ({
      circumstances,
      rows: rows.filter((row) => newest.get(keyOf(row)) === circumstances.date),
    }));
    this.runs = counting.filter(({ rows }) => rows.length > 0).map(({ circumstances }) => circumstances);
    this.#rows = counting.flatMap(({ rows }) => rows);
  }

  static load() {
    ensureCache();
    const names = readdirSync(RESULTS).filter((name) => name.endsWith(".jsonl"));
    return new Results(names.sort().map((name) => parse(readFileSync(join(RESULTS, name), "utf8"))));
  }

  /** Runs with a wrong count, sum or exit code, which are in no table. */
  get failed() {
    return this.#rows.filter(({ ok }) => !ok);
  }

  /** Whether a workload was measured at all. */
  covers(workload) {
    return this.#rows.some((row) => row.ok && row.workload === workload);
  }

  /** The good runs of a subject. */
  of(workload, runtime, subject) {
    const matches = (row) => row.workload === workload && row.runtime === runtime && row.subject === subject;
    return this.#rows.filter((row) => row.ok && matches(row));
  }

  /** The spread of a figure over a subject's runs; undefined if there is none. */
  spread(workload, runtime, subject, figure) {
    return spreadOf(this.of(workload, runtime, subject).map(figure));
  }

  /** Compares a figure with that of another subject in the same repetition, by `compare(ours, theirs)`. */
  compared(workload, runtime, subject, against, figure, compare) {
    const theirs = new Map(this.of(workload, runtime, against).map((row) => [row.repetition, figure(row)]));
    const both = this.of(workload, runtime, subject).filter(({ repetition }) => theirs.has(repetition));
    return spreadOf(both.map((row) => compare(figure(row), theirs.get(row.repetition))));
  }
}

/** The result of a row in its workload's unit. */
export function inUnit({ workload, seconds }) {
  const { unit, messages, size } = WORKLOADS[workload];
  if (unit === "ms") return seconds * 1000;
  return unit === "MB/s" ? (messages * size) / 1e6 / seconds : messages / seconds;
}

function spreadOf(values) {
  const sorted = values.filter(Number.isFinite).sort((a, b) => a - b);
  if (sorted.length === 0) return undefined;
  return {
    count: sorted.length,
    median: median(sorted),
    quartiles: [quantileSorted(sorted, 0.25), quantileSorted(sorted, 0.75)],
    extremes: [min(sorted), max(sorted)],
  };
}

function keyOf({ workload, runtime }) {
  return `${workload} ${runtime}`;
}

function parse(text) {
  const [{ circumstances }, ...rows] = text
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
  return { circumstances, rows };
}
