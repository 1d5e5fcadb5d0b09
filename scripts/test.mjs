/**
 * All tests: vitest, then CPython's own test-suite, each on Node, Deno and Bun. Ends with one line of sums.
 * `npm test` runs it while the real mail servers are up; arguments go to vitest (`npm test -- test/core`), and leave
 * CPython's tests out.
 */
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { printExtensions } from "./extensions-table.mjs";

const root = join(import.meta.dirname, "..");
const vitest = join(root, "node_modules/vitest/vitest.mjs");
const runtimes = {
  node: [process.execPath],
  deno: [join(root, "node_modules/.bin/deno"), "run", "-A"],
  bun: [join(root, "node_modules/.bin/bun"), "--bun"],
};
const filters = process.argv.slice(2);
const reports = mkdtempSync(join(tmpdir(), "smtplib-test-"));
const results = [];

try {
  for (const [name, command] of Object.entries(runtimes)) results.push(await runVitest(name, command));
  if (filters.length === 0) {
    heading("extensions and mechanisms");
    const files = Object.keys(runtimes).map((name) => [name, join(reports, `${name}.json`)]);
    results.push({ name: "extensions", counts: printExtensions(Object.fromEntries(files)) });
    for (const name of Object.keys(runtimes)) results.push(await runConformance(name));
  }
} finally {
  rmSync(reports, { recursive: true, force: true });
}

console.log();
for (const { name, counts } of results) console.log(`${name.padEnd(16)} ${sumLine(counts)}`);
const total = results.map(({ counts }) => counts).reduce(plus);
console.log(`\n${sumLine(total)}`);
process.exitCode = total.failed === 0 ? 0 : 1;

async function runVitest(runtime, command) {
  const name = `vitest, ${runtime}`;
  heading(name);
  const file = join(reports, `${runtime}.json`);
  const reporters = ["--reporter=default", "--reporter=json", `--outputFile.json=${file}`];
  const { status } = await run([...command, vitest, "run", ...reporters, ...filters]);
  return { name, counts: withStatus(countsOfReport(file), status) };
}

function countsOfReport(file) {
  try {
    const report = JSON.parse(readFileSync(file, "utf8"));
    const skipped = report.numPendingTests + report.numTodoTests;
    return { passed: report.numPassedTests, failed: report.numFailedTests, skipped };
  } catch {
    return { passed: 0, failed: 1, skipped: 0 }; // it died before it could report
  }
}

async function runConformance(runtime) {
  const name = `CPython, ${runtime}`;
  heading(name);
  const env = { BRIDGE_RUNTIME: runtime, SMTPLIB_DIST: join(root, "dist/index.js") };
  const { status, output } = await run(["bash", join(root, "test/conformance/run.sh")], env);
  const [, passed = 0, failed = 0, skipped = 0] =
    /^(\d+) passed, (\d+) failed(?:, (\d+) skipped)?\s*$/m.exec(output) ?? [];
  return { name, counts: withStatus({ passed: +passed, failed: +failed, skipped: +skipped }, status) };
}

/** Runs a command with its output both shown and kept. */
function run([file, ...args], env = {}) {
  return new Promise((resolve) => {
    const child = spawn(file, args, {
      cwd: root,
      env: { ...process.env, ...env },
      stdio: ["ignore", "pipe", "inherit"],
    });
    const chunks = [];
    child.stdout.on("data", (chunk) => {
      chunks.push(chunk);
      process.stdout.write(chunk);
    });
    child.on("error", (error) => {
      console.error(error.message);
      resolve({ status: 1, output: "" });
    });
    child.on("close", (code) => resolve({ status: code ?? 1, output: Buffer.concat(chunks).toString() }));
  });
}

/** A runner that fails without a failed test, as for a file that does not load, counts as one failure. */
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
