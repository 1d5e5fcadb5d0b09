/**
 * All tests: vitest on Node, Deno and Bun side by side, then CPython's own test suite on each. Prints the output of a
 * part when it has ended; ends with the time that each part took, and one line of sums. `npm test` runs it while the
 * real mail servers run; arguments go to vitest (`npm test -- test/core`), and leave out CPython's tests. `--runtime
 * deno` runs only one runtime, `--coverage` measures the coverage of the tests on Node, and that of the transports'
 * tests on Deno and Bun, each of which has a transport of its own.
 */
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { coverageOptions, printCoverage } from "./coverage.mjs";
import { printExtensions } from "./extensions-table.mjs";
import { commands } from "./runtimes.mjs";

const root = join(import.meta.dirname, "..");
const vitest = join(root, "node_modules/vitest/vitest.mjs");
const runtimes = commands();
/** The only tests that are measured on Deno and Bun, each of which has a transport of its own. */
const TRANSPORTS = "test/transports";
/** The tests without coverage on Node: they take long, or run the built package. */
const UNMEASURED = ["exhaustive", "seeds", "peers", "servers", "packaging", "bench"].map((name) => `test/${name}/`);
const filters = process.argv.slice(2);
const measured = takeOption("--coverage");
const chosen = takeOption("--runtime", true)?.split(",") ?? Object.keys(runtimes);
const unknown = chosen.find((name) => !(name in runtimes));
if (unknown !== undefined) throw new Error(`--runtime ${unknown}: it has to be node, deno or bun`);

const reports = mkdtempSync(join(tmpdir(), "smtplib-test-"));
const results = [];
const started = performance.now();

try {
  console.log(`vitest runs on ${chosen.join(", ")}; each prints what it did at its end`);
  results.push(...(await Promise.all(chosen.map(testOn))));
  if (measured) {
    heading("coverage");
    results.push({ name: "coverage", counts: printCoverage(chosen.map(coverageOf)) });
  }
  if (filters.length === 0) {
    if (chosen.length === Object.keys(runtimes).length) {
      heading("extensions and mechanisms");
      const files = chosen.map((name) => [name, join(reports, `${name}.json`)]);
      results.push({ name: "extensions", counts: printExtensions(Object.fromEntries(files)) });
    }
    results.push(...(await Promise.all(chosen.map(runConformance))));
  }
} finally {
  rmSync(reports, { recursive: true, force: true });
}

console.log();
for (const { name, counts, seconds } of results) {
  console.log(`${name.padEnd(16)} ${sumLine(counts)}${seconds === undefined ? "" : `, ${seconds.toFixed(0)} s`}`);
}
console.log(`together in ${((performance.now() - started) / 1000).toFixed(0)} s`);
const total = results.map(({ counts }) => counts).reduce(plus);
console.log(`\n${sumLine(total)}`);
process.exitCode = total.failed === 0 ? 0 : 1;

/** Runs the tests on a runtime. Coverage slows them down by half, so only those that need it measure it. */
async function testOn(runtime) {
  const name = `vitest, ${runtime}`;
  if (!measured || filters.length > 0) return { name, ...(await runVitest(runtime, "", filters, measured)) };
  const apart = runtime === "node" ? UNMEASURED : [`${TRANSPORTS}/`];
  const byName = await runVitest(runtime, "-apart", apart, runtime !== "node");
  const others = await runVitest(runtime, "", [], runtime === "node", { SMTPLIB_TESTS_ELSEWHERE: apart.join(",") });
  joinReports(runtime);
  return { name, counts: plus(byName.counts, others.counts), seconds: byName.seconds + others.seconds };
}

/** Merges the reports of a runtime's two runs, for the table of extensions. */
function joinReports(runtime) {
  const [whole, part] = ["", "-apart"].map((end) => join(reports, `${runtime}${end}.json`));
  try {
    const [one, other] = [whole, part].map((file) => JSON.parse(readFileSync(file, "utf8")));
    writeFileSync(whole, JSON.stringify({ ...one, testResults: [...one.testResults, ...other.testResults] }));
  } catch {
    // One of the runs died before it could report, which counts as a failure.
  }
}

async function runVitest(runtime, part, options, covers, env = {}) {
  const file = join(reports, `${runtime}${part}.json`);
  const reporters = ["--reporter=default", "--reporter=json", `--outputFile.json=${file}`];
  const measuring = covers ? coverageOptions(coverageOf(runtime)) : [];
  const command = [...runtimes[runtime], vitest, "run", workers(runtime), ...reporters, ...measuring, ...options];
  const { status, seconds } = await run(`vitest, ${runtime}${part}`, command, env);
  return { counts: withStatus(countsOfReport(file), status), seconds };
}

/**
 * Tests wait longer for servers and deadlines than they compute: with so many workers, processors are seldom idle. Node
 * has half as many again as the others, as it also runs what is the same on each runtime.
 */
function workers(runtime) {
  const share = (one) => (one === "node" ? 1.5 : 1);
  const all = chosen.reduce((sum, one) => sum + share(one), 0);
  return `--maxWorkers=${Math.max(1, Math.round((4.5 * availableParallelism() * share(runtime)) / all))}`;
}

function coverageOf(runtime) {
  return join(reports, `coverage-${runtime}`);
}

/** Removes an option from the arguments; returns its value, or whether it was given if it has none. */
function takeOption(name, hasValue = false) {
  const at = filters.indexOf(name);
  if (at === -1) return undefined;
  const [, value] = filters.splice(at, hasValue ? 2 : 1);
  return hasValue ? (value ?? "") : true;
}

function countsOfReport(file) {
  try {
    const report = JSON.parse(readFileSync(file, "utf8"));
    const skipped = report.numPendingTests + report.numTodoTests;
    return { passed: report.numPassedTests, failed: report.numFailedTests, skipped };
  } catch {
    return { passed: 0, failed: 1, skipped: 0 }; // the run died before it could report
  }
}

async function runConformance(runtime) {
  const name = `CPython, ${runtime}`;
  const env = { BRIDGE_RUNTIME: runtime, SMTPLIB_DIST: join(root, "dist/index.js") };
  const { status, output, seconds } = await run(name, ["bash", join(root, "test/conformance/run.sh")], env);
  const [, passed = 0, failed = 0, skipped = 0] =
    /^(\d+) passed, (\d+) failed(?:, (\d+) skipped)?\s*$/m.exec(output) ?? [];
  return { name, counts: withStatus({ passed: +passed, failed: +failed, skipped: +skipped }, status), seconds };
}

/** Runs a command, and prints its output under its name when it has ended, so that outputs do not mix. */
function run(name, [file, ...args], env = {}) {
  const start = performance.now();
  return new Promise((resolve) => {
    const child = spawn(file, args, {
      cwd: root,
      env: { ...process.env, ...env },
      stdio: ["ignore", "pipe", "pipe"],
    });
    const chunks = [];
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk) => chunks.push(chunk));
    child.on("error", (error) => chunks.push(Buffer.from(error.message)));
    child.on("close", (code) => {
      const seconds = (performance.now() - start) / 1000;
      const output = Buffer.concat(chunks).toString();
      heading(`${name}, after ${seconds.toFixed(0)} s`);
      process.stdout.write(output);
      resolve({ status: code ?? 1, output, seconds });
    });
  });
}

/** A runner that fails without a failed test, for example because a file does not load, counts as one failure. */
function withStatus(counts, status) {
  return status !== 0 && counts.failed === 0 ? { ...counts, failed: 1 } : counts;
}

function plus(a, b) {
  return { passed: a.passed + b.passed, failed: a.failed + b.failed, skipped: a.skipped + b.skipped };
}

function sumLine({ passed, failed, skipped }) {
  return `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`;
}

function heading(text) {
  console.log(`\n=== ${text}`);
}
