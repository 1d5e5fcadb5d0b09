/**
 * Mutation testing: changes the sources piece by piece and counts the changes that no test notices. Stryker changes
 * `core`, for which the tests of `test/core` must suffice, and `transfers`, the files that write a message's content
 * and report its outcome: file by file, so that an interrupted run has printed its counts. `rules` are the breaks of
 * `rules.mjs`, each of which would be a vulnerability. Arguments: none for all of it, `core`, `core src/core/reply.ts`,
 * `transfers`, `rules`, `rules 3.1 7`.
 */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { Stryker } from "@stryker-mutator/core";
import { breakRules } from "./break-rules.mjs";

const root = join(import.meta.dirname, "../..");
process.chdir(root);

/** Part -> the sources that Stryker changes, and the tests that must notice. */
const PARTS = {
  core: { folder: "src/core", files: /\.ts$/, tests: ["test/core/**/*.test.ts"] },
  transfers: {
    folder: "src/client",
    files: /transfer|chunk|body-pump|outcome|transaction/,
    tests: [
      "test/client/{bodies,chunking,eager,flights,pace,portions,reply-clock}.test.ts",
      "test/facade/{lmtp,sending}.test.ts",
      "test/hostile/{body-abort,chunking,lmtp,pipelining}.test.ts",
    ],
  },
};

const [part, ...chosen] = process.argv.slice(2);
if (part !== undefined && part !== "rules" && !(part in PARTS)) throw new Error(`there is no part ${part}`);
const lines = [];
for (const name of Object.keys(PARTS)) if (part === undefined || part === name) lines.push(...(await mutate(name)));
if (part === undefined || part === "rules") process.exitCode = breakRules(chosen) ? 0 : 1;
for (const line of lines) console.log(line);

/** Changes the files of one part; returns a line for each of them, and their sum. */
async function mutate(name) {
  const scores = [];
  for (const file of chosen.length > 0 ? chosen : filesOf(PARTS[name])) {
    const score = { file, ...(await mutateFile(name, file)) };
    if (score.all > 0) scores.push(score);
    console.log(`\n##### ${lineOf(score)}\n`);
  }
  const sum = (key) => scores.reduce((total, score) => total + score[key], 0);
  const total = { file: `${name}, ${scores.length} files`, noticed: sum("noticed"), all: sum("all") };
  return [...scores, total].map(lineOf);
}

/** The sources of a part, in order. */
function filesOf({ folder, files }) {
  return readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((name) => files.test(name))
    .sort()
    .map((name) => join(folder, name));
}

function lineOf({ file, noticed, all }) {
  const share = all === 0 ? "nothing to change" : `${((100 * noticed) / all).toFixed(1)} %`;
  return `${file.padEnd(44)}${`${noticed} of ${all} changes noticed`.padStart(30)}${share.padStart(20)}`;
}

/** Runs Stryker on one file; returns the number of changes, and of those that a test noticed. */
async function mutateFile(name, file) {
  // Vitest's configuration reads it in the processes that Stryker starts.
  process.env.MUTATION_TESTS = PARTS[name].tests.join(" ");
  const report = join(".cache/mutation", name, file.replaceAll("/", "-").replace(/\.ts$/, ""));
  const results = await new Stryker({
    testRunner: "vitest",
    plugins: ["@stryker-mutator/vitest-runner"],
    vitest: { configFile: "test/mutation/vitest.config.mjs", related: true },
    coverageAnalysis: "perTest",
    mutate: [file],
    // Most texts are for people; the important ones have tests of their own.
    mutator: { excludedMutations: ["StringLiteral"] },
    concurrency: Number(process.env.MUTATION_CONCURRENCY ?? 2),
    // Long enough for a test that waits on a busy machine; a change that loops for ever takes this long once.
    timeoutMS: 60_000,
    tempDirName: ".cache/stryker",
    ignorePatterns: ["/bench", "/dist", "/examples", "/.cache"],
    warnings: { slow: false },
    allowConsoleColors: false,
    reporters: ["clear-text", "progress-append-only", "html", "json"],
    clearTextReporter: { allowColor: false, logTests: false, reportTests: false, reportScoreTable: false },
    htmlReporter: { fileName: `${report}.html` },
    jsonReporter: { fileName: `${report}.json` },
  }).runMutationTest();
  const count = (...kinds) => results.filter(({ status }) => kinds.includes(status)).length;
  const noticed = count("Killed", "Timeout");
  return { noticed, all: noticed + count("Survived", "NoCoverage") };
}
