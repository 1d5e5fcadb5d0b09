/**
 * Plays a range of seeds in this process and prints the sums as a line of JSON; or plays one seed, step by step, as
 * text; or prints the hash of the trace of each seed of a range. `scripts/seeds.mjs` bundles and runs it on each
 * runtime.
 */
import { AsyncLocalStorage } from "node:async_hooks";
import { createHash } from "node:crypto";
import { inspect } from "node:util";
import { generate } from "./generate.ts";
import { type Outcome, play, prepare } from "./play.ts";
import type { Scenario } from "./scenario.ts";
import { shrink } from "./shrink.ts";

// The guarantees to check do not include stacks and the callers' contexts, which would cost a quarter of the time.
Error.stackTraceLimit = 0;
if (!("Bun" in globalThis)) Reflect.set(AsyncLocalStorage, "snapshot", undefined);

const [mode, ...numbers] = process.argv.slice(2);
const [first = 1, count = 1, enough = 5] = numbers.map(Number);
const restore = prepare();
if (mode === "one") await showSeed(first);
else if (mode === "traces") await hashTraces(first, count);
else await playRange(first, count);
restore();

/** Plays this many seeds, or fewer if enough have failed. */
async function playRange(from: number, many: number): Promise<void> {
  const sums = { seeds: 0, turns: 0, calls: 0, delivered: 0, connections: 0, hours: 0 };
  const failures: { seed: number; rule: string; detail: string }[] = [];
  let digest = 0;
  for (let seed = from; seed < from + many && failures.length < enough; seed++) {
    // A missing line shows which seeds do not end.
    if ((seed - from) % 250 === 0) process.stdout.write(`${seed}\n`);
    const outcome = await play(generate(seed));
    sums.seeds++;
    sums.turns += outcome.turns;
    sums.calls += outcome.calls;
    sums.delivered += outcome.delivered;
    sums.connections += outcome.connections;
    sums.hours += outcome.lasted / 3_600_000;
    digest = (Math.imul(digest, 31) + outcome.turns * 7 + Math.round(outcome.lasted * 1_000)) | 0;
    const [violation] = outcome.violations;
    if (violation !== undefined) failures.push({ seed, ...violation });
  }
  const { user, system } = process.cpuUsage();
  process.stdout.write(`${JSON.stringify({ ...sums, digest, failures, cpu: (user + system) / 1e6 })}\n`);
}

/** Prints a line for each seed: its number, and the hash of its trace. */
async function hashTraces(from: number, many: number): Promise<void> {
  for (let seed = from; seed < from + many; seed++) {
    const { trace } = await play(generate(seed), true);
    process.stdout.write(`${seed} ${createHash("sha256").update(trace.join("\n")).digest("hex")}\n`);
  }
}

/**
 * Shows the scenario of a seed and its trace; if it breaks a guarantee, also the smallest scenario that breaks the
 * same.
 */
async function showSeed(seed: number): Promise<void> {
  const scenario = generate(seed);
  const outcome = await play(scenario, true);
  show(`seed ${seed}`, scenario, outcome);
  const [violation] = outcome.violations;
  if (violation === undefined) return;
  const smallest = await shrink(scenario, async (simpler) =>
    (await play(simpler)).violations.some(({ rule }) => rule === violation.rule),
  );
  show(`the smallest scenario that fails like seed ${seed}`, smallest, await play(smallest, true));
  process.exitCode = 1;
}

function show(title: string, scenario: Scenario, { trace, violations }: Outcome): void {
  const options = { depth: 6, breakLength: 120, compact: 4 };
  process.stdout.write(`\n# ${title}\n${inspect(scenario, options)}\n\n${trace.join("\n")}\n`);
  for (const { rule, detail } of violations) process.stdout.write(`\nBROKEN: ${rule}\n  ${detail}\n`);
  if (violations.length === 0) process.stdout.write("\nno promise is broken\n");
}
