/**
 * The coverage of `src/` and `transports/`: Node runs the tests but those that need real servers or the built package,
 * Deno and Bun those of the transports; the three are merged, since a native transport runs on its own runtime alone.
 * Fails where too small a share of the branches was taken.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import coverage from "istanbul-lib-coverage";
import report from "istanbul-lib-report";
import reports from "istanbul-reports";

/**
 * The shares of branches that have to be taken, in percent: of the client itself, and of all with what is built on it.
 * Both stand above 96; a few branches hang on timing, and on what a kernel takes at once.
 */
const CLIENT = 95;
const ALL = 95;

/** What is built on the client, or stands in for a server in tests. */
const COMPANIONS = /^src\/(?:nodemailer|upyo|testing)\/|^src\/opentelemetry\.ts$/;

const root = join(import.meta.dirname, "..");
const vitest = join(root, "node_modules/vitest/vitest.mjs");
const bin = (name) => join(root, "node_modules/.bin", name);
const ELSEWHERE = ["test/servers/**", "test/packaging/**", "test/bench/**", "test/testing/runners.test.ts"];
const EVERYTHING_HERE = ELSEWHERE.map((tests) => `--exclude=${tests}`);
/** Few random sessions, and always the same: the figures hang on luck as little as may be. */
const env = { ...process.env, SMTPLIB_FUZZ_RUNS: "300", SMTPLIB_FUZZ_SEED: "20261123" };
const runs = [
  { name: "node", command: [process.execPath], tests: EVERYTHING_HERE },
  { name: "deno", command: [bin("deno"), "run", "-A"], tests: ["test/transports"] },
  { name: "bun", command: [bin("bun"), "--bun"], tests: ["test/transports"] },
];

const folder = mkdtempSync(join(tmpdir(), "coverage-"));
const merged = coverage.createCoverageMap();
try {
  for (const { name, command, tests } of runs) merged.merge(measure(name, command, tests));
} finally {
  rmSync(folder, { recursive: true, force: true });
}

const context = report.createContext({ dir: root, coverageMap: merged });
reports.create("text", { maxCols: 120 }).execute(context);
for (const file of merged.files()) {
  const missed = branchesMissed(merged.fileCoverageFor(file));
  if (missed.length > 0) console.log(`${relative(root, file)}: branches not taken at ${missed.join(", ")}`);
}
const client = coverage.createCoverageMap(merged.toJSON());
client.filter((file) => !COMPANIONS.test(relative(root, file)));
for (const [name, map, least] of [
  ["the client", client, CLIENT],
  ["all", merged, ALL],
]) {
  const { branches } = map.getCoverageSummary();
  console.log(`${name}: ${branches.pct} % of ${branches.total} branches; at least ${least} % are demanded`);
  if (branches.pct < least) process.exitCode = 1;
}

function measure(name, [file, ...args], tests) {
  const dir = join(folder, name);
  const options = [
    "run",
    "--coverage.enabled",
    "--coverage.provider=v8",
    "--coverage.include=src/**/*.ts",
    "--coverage.include=transports/**/*.ts",
    "--coverage.exclude=test/**",
    // It runs in workerd, which no coverage tool of these runtimes looks into.
    "--coverage.exclude=transports/workers.ts",
    "--coverage.reporter=json",
    "--coverage.reportOnFailure",
    `--coverage.reportsDirectory=${dir}`,
    "--reporter=dot",
  ];
  const { status } = spawnSync(file, [...args, vitest, ...options, ...tests], { cwd: root, env, stdio: "inherit" });
  // The instruments slow some tests down beyond their limits. What a failure means is for "npm test" to say.
  if (status !== 0) console.log(`some tests failed on ${name}: what they did is measured all the same`);
  return JSON.parse(readFileSync(join(dir, "coverage-final.json"), "utf8"));
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
