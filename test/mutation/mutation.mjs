/**
 * Mutation: changes the sources piece by piece and counts the changes that no test notices. Stryker does it to `core`, for
 * which the tests of `test/core` have to be enough, and to `transfers`, the files that write a message's content and tell
 * what became of it; `rules` are the breaks of `rules.mjs`, whose loss would be a vulnerability.
 * Arguments: none for all of it, `core`, `core src/core/reply.ts`, `transfers`, `rules`, `rules 3.1 7`.
 */
import { join } from "node:path";
import { Stryker } from "@stryker-mutator/core";
import { breakRules } from "./break-rules.mjs";

const root = join(import.meta.dirname, "../..");
process.chdir(root);

/** Part -> the sources that Stryker changes, and the tests that have to notice. */
const PARTS = {
  core: { mutate: ["src/core/**/*.ts"], tests: ["test/core/**/*.test.ts"] },
  transfers: {
    mutate: ["transfer", "chunk", "stream-body", "body-pump", "outcome", "transaction"].map(
      (name) => `src/client/*${name}*.ts`,
    ),
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
for (const name of Object.keys(PARTS)) if (part === undefined || part === name) lines.push(await mutate(name));
if (part === undefined || part === "rules") process.exitCode = breakRules(chosen) ? 0 : 1;
for (const line of lines) console.log(line);

/** Runs Stryker on one part, and sums up. */
async function mutate(name) {
  const { mutate, tests } = PARTS[name];
  // The configuration of vitest reads it in the processes that Stryker starts.
  process.env.MUTATION_TESTS = tests.join(" ");
  const results = await new Stryker({
    testRunner: "vitest",
    plugins: ["@stryker-mutator/vitest-runner"],
    vitest: { configFile: "test/mutation/vitest.config.mjs", related: true },
    coverageAnalysis: "perTest",
    mutate: chosen.length > 0 ? chosen : mutate,
    // Most texts are for people; those that matter stand in tests of their own.
    mutator: { excludedMutations: ["StringLiteral"] },
    concurrency: Number(process.env.MUTATION_CONCURRENCY ?? 2),
    timeoutMS: 10_000,
    tempDirName: ".cache/stryker",
    ignorePatterns: ["/bench", "/dist", "/docs", "/examples", "/.cache"],
    warnings: { slow: false },
    allowConsoleColors: false,
    reporters: ["clear-text", "html", "json"],
    clearTextReporter: { allowColor: false, logTests: false, reportTests: false },
    htmlReporter: { fileName: `.cache/mutation/${name}.html` },
    jsonReporter: { fileName: `.cache/mutation/${name}.json` },
  }).runMutationTest();
  const count = (...kinds) => results.filter(({ status }) => kinds.includes(status)).length;
  const noticed = count("Killed", "Timeout");
  const all = noticed + count("Survived", "NoCoverage");
  return `${name}: ${noticed} of ${all} changes noticed, ${((100 * noticed) / all).toFixed(1)} %; .cache/mutation/${name}.html`;
}
