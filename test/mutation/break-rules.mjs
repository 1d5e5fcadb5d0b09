/**
 * Breaks the rules of `rules.mjs` one by one in a copy of the sources, and runs the tests that should notice; prints
 * the first failed test for each. A rule finds its text in any source file.
 */
import { spawnSync } from "node:child_process";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { RULES } from "./rules.mjs";

const root = join(import.meta.dirname, "../..");
const SOURCES = ["src", "transports"];
const REST = ["test", "package.json", "deno.json", "vitest.config.ts", "tsconfig.json", "tsconfig.base.json"];

/** Breaks all rules, or those with these numbers; true if tests noticed each break. */
export function breakRules(chosen) {
  const copy = mkdtempSync(join(tmpdir(), "mutation-"));
  let survivors = 0;
  let caught = 0;
  try {
    for (const name of [...SOURCES, ...REST]) cpSync(join(root, name), join(copy, name), { recursive: true });
    symlinkSync(join(root, "node_modules"), join(copy, "node_modules"));
    mkdirSync(join(copy, "reports"));
    const sources = readSources();
    for (const rule of RULES) {
      if (chosen.length > 0 && !chosen.some((one) => rule.rule === one || rule.rule.startsWith(`${one}.`))) continue;
      const edits = editsOf(rule, sources);
      const noticedBy = typeof edits === "string" ? undefined : play(copy, edits, rule.tests);
      if (noticedBy === undefined) survivors++;
      else caught++;
      const verdict = noticedBy ?? (typeof edits === "string" ? edits : "SURVIVED");
      console.log(`${rule.rule.padEnd(6)}${rule.broken.padEnd(66)}${verdict}`);
    }
  } finally {
    rmSync(copy, { recursive: true });
  }
  console.log(`rules: ${caught} breaks noticed, ${survivors} not`);
  return survivors === 0;
}

/** Path -> text of all sources. */
function readSources() {
  const files = SOURCES.flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
      .filter((name) => name.endsWith(".ts"))
      .map((name) => join(folder, name)),
  );
  return new Map(files.map((file) => [file, readFileSync(join(root, file), "utf8")]));
}

/** The changed files by their paths, or the reason why the rule is stale. */
function editsOf({ edits }, sources) {
  const changed = new Map();
  for (const { from, to } of edits) {
    const places = [...sources].flatMap(([file, text]) => Array(count(from, text)).fill(file));
    if (places.length !== 1) return `STALE: ${places.length} places have ${from}`;
    const [file] = places;
    changed.set(file, (changed.get(file) ?? sources.get(file)).replace(from, typeof from === "string" ? () => to : to));
  }
  return changed;
}

function count(from, text) {
  return typeof from === "string" ? text.split(from).length - 1 : [...text.matchAll(new RegExp(from, "g"))].length;
}

/** The test that noticed; undefined if none did. */
function play(copy, edits, tests) {
  for (const [file, text] of edits) writeFileSync(join(copy, file), text);
  try {
    const report = join(copy, "reports/report.json");
    rmSync(report, { force: true });
    const options = ["run", "--bail=1", "--reporter=json", `--outputFile=${report}`, ...tests];
    const { status, stderr, error } = spawnSync(
      process.execPath,
      [join(root, "node_modules/vitest/vitest.mjs"), ...options],
      {
        cwd: copy,
        encoding: "utf8",
        timeout: 180_000,
      },
    );
    if (status === 0) return undefined;
    const why = error?.message ?? stderr.trim().slice(0, 200);
    return (existsSync(report) ? firstFailure(report, copy) : undefined) ?? `(no test: ${why})`;
  } finally {
    for (const file of edits.keys()) cpSync(join(root, file), join(copy, file));
  }
}

function firstFailure(report, copy) {
  const { testResults } = JSON.parse(readFileSync(report, "utf8"));
  for (const { name, message, assertionResults } of testResults) {
    const failed = assertionResults.find(({ status }) => status === "failed");
    if (failed !== undefined) return `${name.slice(copy.length + 1)}: ${failed.fullName}`;
    if (assertionResults.length === 0 && message) return `${name.slice(copy.length + 1)}: ${message.split("\n")[0]}`;
  }
  return undefined;
}
