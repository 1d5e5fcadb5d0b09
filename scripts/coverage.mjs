/**
 * The coverage of `src/` and `transports/`, merged over the runtimes, since a native transport runs only on its own
 * runtime. `npm test -- --coverage` measures it while the tests run, and fails if too few branches were taken.
 */
import { readFileSync } from "node:fs";
import { join, relative } from "node:path";
import coverage from "istanbul-lib-coverage";
import report from "istanbul-lib-report";
import reports from "istanbul-reports";

/** Code that is built on the client, or replaces a server in tests. */
const COMPANIONS = /^src\/(?:nodemailer|upyo|outbox|testing)\/|^src\/opentelemetry\.ts$/;
const COMMAND_LINE = /^src\/cli\//;

/**
 * The percentage of branches that must be taken. Most tests of the command line run it in a process that is not
 * measured.
 */
const DEMANDS = [
  { name: "the client", least: 95, holds: (file) => !COMPANIONS.test(file) && !COMMAND_LINE.test(file) },
  { name: "the client and what is built on it", least: 95, holds: (file) => !COMMAND_LINE.test(file) },
  { name: "the command line", least: 70, holds: (file) => COMMAND_LINE.test(file) },
];

const root = join(import.meta.dirname, "..");

/** The options of vitest that write the coverage of one run into `folder`. */
export function coverageOptions(folder) {
  return [
    "--coverage.enabled",
    "--coverage.provider=v8",
    "--coverage.include=src/**/*.ts",
    "--coverage.include=transports/**/*.ts",
    "--coverage.exclude=test/**",
    // This transport runs in workerd, which no coverage tool of these runtimes supports.
    "--coverage.exclude=transports/workers.ts",
    "--coverage.reporter=json",
    "--coverage.reportOnFailure",
    `--coverage.reportsDirectory=${folder}`,
  ];
}

/** Prints the merged coverage of the runs in `folders`; returns how many of the thresholds are met and are not. */
export function printCoverage(folders) {
  const merged = coverage.createCoverageMap();
  for (const folder of folders) merged.merge(JSON.parse(readFileSync(join(folder, "coverage-final.json"), "utf8")));
  printTable(merged);
  printBranchesMissed(merged);
  const held = DEMANDS.map((demand) => isMet(demand, merged));
  const passed = held.filter(Boolean).length;
  return { passed, failed: held.length - passed, skipped: 0 };
}

function printTable(map) {
  reports.create("text", { maxCols: 120 }).execute(report.createContext({ dir: root, coverageMap: map }));
}

function printBranchesMissed(map) {
  for (const file of map.files()) {
    const missed = branchesMissed(map.fileCoverageFor(file));
    if (missed.length > 0) console.log(`${relative(root, file)}: branches not taken at ${missed.join(", ")}`);
  }
}

function isMet({ name, least, holds }, merged) {
  const map = coverage.createCoverageMap(merged.toJSON());
  map.filter((file) => holds(relative(root, file)));
  const { branches } = map.getCoverageSummary();
  console.log(`${name}: ${branches.pct} % of ${branches.total} branches; at least ${least} % are demanded`);
  return branches.pct >= least;
}

/** line:column of each branch that was never taken. */
function branchesMissed({ branchMap, b }) {
  return Object.entries(branchMap).flatMap(([id, { type, loc, locations }]) =>
    (b[id] ?? []).flatMap((count, i) => {
      if (count > 0) return [];
      const start = locations[i]?.start?.line === undefined ? loc.start : locations[i].start;
      return [`${start.line}:${start.column + 1} (${type})`];
    }),
  );
}
