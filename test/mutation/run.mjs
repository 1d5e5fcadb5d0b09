/**
 * Breaks the rules of `rules.mjs` one by one in a copy of the sources and runs the tests that should notice: prints
 * the test that failed first for each, and fails if a break went unnoticed. Arguments choose rules by their number.
 */
import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { RULES } from "./rules.mjs";

const root = join(import.meta.dirname, "../..");
const copy = mkdtempSync(join(tmpdir(), "mutation-"));
const chosen = process.argv.slice(2);
const SOURCES = ["src", "transports"];
const REST = ["test", "package.json", "deno.json", "vitest.config.ts", "tsconfig.json", "tsconfig.base.json"];

let survivors = 0;
let caught = 0;
try {
  for (const name of [...SOURCES, ...REST]) cpSync(join(root, name), join(copy, name), { recursive: true });
  for (const name of SOURCES) cpSync(join(root, name), join(copy, "whole", name), { recursive: true });
  symlinkSync(join(root, "node_modules"), join(copy, "node_modules"));
  mkdirSync(join(copy, "reports"));
  for (const rule of RULES) {
    if (chosen.length > 0 && !chosen.some((start) => rule.rule === start || rule.rule.startsWith(`${start}.`)))
      continue;
    const noticedBy = isStale(rule) ? undefined : play(rule);
    if (noticedBy === undefined) survivors++;
    else caught++;
    const verdict =
      noticedBy ?? (isStale(rule) ? "STALE: the text to be broken does not stand there once" : "SURVIVED");
    console.log(`${rule.rule.padEnd(6)}${rule.broken.padEnd(66)}${verdict}`);
  }
} finally {
  rmSync(copy, { recursive: true });
}
console.log(`${caught} noticed, ${survivors} not`);
process.exitCode = survivors === 0 ? 0 : 1;

/** The test that noticed, or undefined. */
function play({ tests, edits = [], ...edit }) {
  const all = [edit, ...edits];
  for (const { file, from, to } of all) {
    writeFileSync(
      join(copy, file),
      readFileSync(join(copy, file), "utf8").replace(from, () => to),
    );
  }
  try {
    const report = join(copy, "reports/report.json");
    const options = ["run", "--bail=1", "--reporter=json", `--outputFile=${report}`, ...tests];
    rmSync(report, { force: true });
    const { status, stderr } = spawnSync(process.execPath, [join(root, "node_modules/vitest/vitest.mjs"), ...options], {
      cwd: copy,
      encoding: "utf8",
      timeout: 180_000,
    });
    if (status === 0) return undefined;
    return firstFailure(report) ?? `(no test: ${stderr.trim().slice(0, 200)})`;
  } finally {
    for (const { file } of all) writeFileSync(join(copy, file), textOf(file));
  }
}

/** True if the sources have changed since the rule was written. */
function isStale({ edits = [], ...edit }) {
  return [edit, ...edits].some(({ file, from }) => textOf(file).split(from).length !== 2);
}

function textOf(file) {
  return readFileSync(join(copy, "whole", file), "utf8");
}

function firstFailure(report) {
  const { testResults } = JSON.parse(readFileSync(report, "utf8"));
  for (const { name, message, assertionResults } of testResults) {
    const failed = assertionResults.find(({ status }) => status === "failed");
    if (failed !== undefined) return `${name.slice(copy.length + 1)}: ${failed.fullName}`;
    if (assertionResults.length === 0 && message) return `${name.slice(copy.length + 1)}: ${message.split("\n")[0]}`;
  }
  return undefined;
}
