/**
 * A seed determines the whole run: its events are the same each time, and on each runtime.
 *
 * @isolated Their clock replaces the globals: timers of another file must not see it.
 */
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { build } from "esbuild";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { onNode, runtimes } from "../support/runtimes.ts";
import { generate } from "./generate.ts";
import { type Outcome, play, prepare } from "./play.ts";

const run = promisify(execFile);

async function played(seed: number): Promise<Outcome> {
  const restore = prepare();
  try {
    return await play(generate(seed), true);
  } finally {
    restore();
  }
}

describe("a seed", () => {
  it.each([1, 2, 3, 71, 3_819, 4_426, 13_015])(
    "%i happens twice in the same way, and breaks no promise",
    async (seed) => {
      const first = await played(seed);
      const second = await played(seed);
      expect(first.violations).toEqual([]);
      expect(first.trace.length).toBeGreaterThan(5);
      expect(second.trace).toEqual(first.trace);
    },
  );

  it("differs from its neighbour", async () => {
    expect((await played(1)).trace).not.toEqual((await played(2)).trace);
  });
});

it("the faults that `--breaks` makes are as many as docs/trust.md says", async () => {
  const breaks = await readFile(join(import.meta.dirname, "breaks.mjs"), "utf8");
  const document = await readFile(join(import.meta.dirname, "../../docs/trust.md"), "utf8");
  expect(document).toContain(`puts ${breaks.match(/^ {4}what: /gm)?.length} faults into copies of the pool`);
});

describe.runIf(onNode)("the first 50 seeds", () => {
  let folder: string;
  let program: string;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "seeds-"));
    program = join(folder, "main.mjs");
    const entry = join(import.meta.dirname, "main.ts");
    await build({ entryPoints: [entry], outfile: program, bundle: true, format: "esm", platform: "node" });
  });

  afterAll(() => rm(folder, { recursive: true, force: true }));

  async function hashes({ command: [file, ...args] }: (typeof runtimes)[number], seeds: number): Promise<string[]> {
    const { stdout } = await run(file, [...args, program, "traces", "1", String(seeds)]);
    return stdout.trim().split("\n");
  }

  it("happen on each runtime in the same way", { timeout: 120_000 }, async () => {
    const all = [];
    for (const runtime of runtimes) all.push(await hashes(runtime, 50));
    const [onThis, ...others] = all;
    expect(onThis).toHaveLength(50);
    expect(new Set(onThis?.map((line) => line.split(" ")[1])).size).toBe(50);
    for (const other of others) expect(other).toEqual(onThis);
  });
});
