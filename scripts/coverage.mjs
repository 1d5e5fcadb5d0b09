/**
 * The coverage of `src/` and `transports/`, merged over the runtimes, since a native transport runs on its own runtime
 * alone. `npm test -- --coverage` measures it while the tests run, and fails where too few branches were taken.
 */
import { readFileSync } from "node:fs";
import { join, relative } from "node:path";
import coverage from "istanbul-lib-coverage";
import report from "istanbul-lib-report";
import reports from "istanbul-reports";

/** The percentage of branches that must be taken: of the client itself, and of all with what is built on it. */
const CLIENT = 95;
const ALL = 95;

/** Code that is built on the client, or replaces a server in tests. */
const COMPANIONS = /^src\/(?:nodemailer|upyo|testing|cli)\/|^src\/opentelemetry\.ts$/;

const root = join(import.meta.dirname, "..");

/** The options with which vitest measures what one run covers, into `folder`. */
export function coverageOptions(folder) {
  return [
    "--coverage.enabled",
    "--coverage.provider=v8",
    "--coverage.include=src/**/*.ts",
    "--coverage.include=transports/**/*.ts",
    "--coverage.exclude=test/**",
    // It runs in workerd, which no coverage tool of these runtimes looks into.
    "--coverage.exclude=transports/workers.ts",
    "--coverage.reporter=json",
    "--coverage.reportOnFailure",
    `--coverage.reportsDirectory=${folder}`,
  ];
}

/** Prints what the runs in `folders` covered together; returns the counts of the two demands that hold and do not. */
export function printCoverage(folders) {
  const merged = coverage.createCoverageMap();
  for (const folder of folders) merged.merge(JSON.parse(readFileSync(join(folder, "coverage-final.json"), "utf8")));
  printTable(merged);
  printBranchesMissed(merged);
  const client = coverage.createCoverageMap(merged.toJSON());
  client.filter((file) => !COMPANIONS.test(relative(root, file)));
  const held = [takesEnough("the client", client, CLIENT), takesEnough("all", merged, ALL)];
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

function takesEnough(name, map, least) {
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
