/**
 * `npm run check`: the quick check during work: Biome, the types, and the tests of core, client, facade and the layers
 * on Node, in parallel. `-- lint`, `-- types`, `-- tests` runs one of them; `-- lint --write` fixes what Biome can fix.
 * Prints the time of each.
 */
import { spawn } from "node:child_process";
import { join } from "node:path";

const root = join(import.meta.dirname, "..");
const module = (file) => join(root, "node_modules", file);
const projects = ["tsconfig.json", "src/cli/tsconfig.json", "transports/tsconfig.json", "test/tsconfig.json"];
const TESTS = ["test/core", "test/client", "test/facade", "test/packaging/imports.test.ts"];
const steps = {
  lint: [module("@biomejs/biome/bin/biome"), "check", "--error-on-warnings", "."],
  types: [module("typescript-7/bin/tsc"), "-b", ...projects],
  tests: [module("vitest/vitest.mjs"), "run", "--reporter=dot", ...TESTS],
};

const [name, ...options] = process.argv.slice(2);
if (name !== undefined && !(name in steps)) throw new Error(`${name}: there are lint, types and tests`);
const chosen = name === undefined ? Object.keys(steps) : [name];

const started = performance.now();
const results = await Promise.all(chosen.map((step) => run(step, [...steps[step], ...options])));
for (const { step, status, seconds } of results) {
  console.log(`${step.padEnd(6)} ${status === 0 ? "passed" : "FAILED"} in ${seconds.toFixed(1)} s`);
}
console.log(`together in ${secondsSince(started)} s`);
process.exitCode = results.every(({ status }) => status === 0) ? 0 : 1;

/** Runs a step, and prints its output when it ends, so that the outputs of two steps do not mix. */
function run(step, args) {
  const start = performance.now();
  return new Promise((resolve) => {
    const child = spawn(process.execPath, args, { cwd: root, stdio: ["ignore", "pipe", "pipe"] });
    const output = [];
    child.stdout.on("data", (chunk) => output.push(chunk));
    child.stderr.on("data", (chunk) => output.push(chunk));
    child.on("close", (status) => {
      if (status !== 0) process.stdout.write(Buffer.concat(output));
      resolve({ step, status, seconds: (performance.now() - start) / 1000 });
    });
  });
}

function secondsSince(start) {
  return ((performance.now() - start) / 1000).toFixed(1);
}
