/** Raw results: a file of JSON lines a run, kept in the cache. Reports are made of the newest ones. */
import { appendFileSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { max, median, min, quantileSorted } from "simple-statistics";
import { ensureCache, RESULTS } from "./paths.mjs";
import { WORKLOADS } from "./workloads.mjs";

/** Begins the file of a run, which opens with where and when it was made; gives what adds a row. */
export function beginRun(circumstances) {
  ensureCache();
  const file = join(RESULTS, `${circumstances.date.replaceAll(":", "-")}.jsonl`);
  const add = (row) => appendFileSync(file, `${JSON.stringify(row)}\n`);
  add({ circumstances });
  return add;
}

/** What was measured: of each workload on each runtime, its newest run; of circumstances, those of the runs that count. */
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

  /** Runs whose count, sum or exit was not as it should be: they are in no table. */
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

  /** How some figure of a subject's runs spreads; undefined if there is none. */
  spread(workload, runtime, subject, figure) {
    return spreadOf(this.of(workload, runtime, subject).map(figure));
  }

  /** How a figure compares with another subject's in the same repetition, by `compare(ours, theirs)`. */
  compared(workload, runtime, subject, against, figure, compare) {
    const theirs = new Map(this.of(workload, runtime, against).map((row) => [row.repetition, figure(row)]));
    const both = this.of(workload, runtime, subject).filter(({ repetition }) => theirs.has(repetition));
    return spreadOf(both.map((row) => compare(figure(row), theirs.get(row.repetition))));
  }
}

/** What a row comes to in its workload's unit. */
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
