/**
 * A bound that each runtime plays in seconds; `npm run exhaustive` plays larger ones, in CI all configurations. Also
 * tests the exploration itself: it merges no different states, and its checks notice planted defects.
 *
 * @isolated Its clock replaces the globals: timers of another file must not see it.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { violations } from "../judge/under-test.ts";
import type { Finding } from "./checks.ts";
import { Clock } from "./clock.ts";
import { configurations } from "./configurations.ts";
import { type Bound, type Explored, explore, type Options } from "./explore.ts";
import { playPath, watchRejections } from "./path.ts";
import { type Defect, PLANTED } from "./planted.ts";

const TIMEOUT = { timeout: 120_000 };

const ALL = configurations(1);

function named(name: string): (typeof ALL)[number] {
  const configuration = ALL.find((one) => one.name === name);
  if (configuration === undefined) throw new Error(`there is no configuration ${name}`);
  return configuration;
}

function exploreNamed(name: string, bound: Bound, options?: Options): Promise<Explored> {
  return explore(named(name), bound, options);
}

/** The findings on one path. */
async function findingsOn(name: string, path: string, defect: Defect): Promise<readonly Finding[]> {
  const clock = new Clock();
  const restore = clock.install();
  const unwatch = watchRejections();
  try {
    return (await playPath(named(name), clock, path.split(", "), defect)).findings;
  } finally {
    unwatch();
    restore();
  }
}

describe("no path finds anything", () => {
  const names = ALL.map(({ name }) => name).filter((name) =>
    / string\/string 2\/1$|^smtp plain driven|^lmtp eager stream/.test(name),
  );

  test.each(names)("in good conversations, %s", TIMEOUT, async (name) => {
    const { found, paths } = await exploreNamed(name, { deviations: 0 });
    expect(found).toEqual([]);
    expect(paths).toBeGreaterThan(100);
  });

  test.each(["smtp plain driven/string 1/2", "lmtp eager string/string 2/1"])(
    "with one deviation on at most six events, %s",
    TIMEOUT,
    async (name) => {
      const { found, paths } = await exploreNamed(name, { deviations: 1, length: 6 });
      expect(found).toEqual([]);
      expect(paths).toBeGreaterThan(1000);
    },
  );
});

test("the configurations and the planted defects are as many as docs/trust.md says", () => {
  const text = readFileSync(join(import.meta.dirname, "../../docs/trust.md"), "utf8");
  expect(text).toContain(`There are ${ALL.length} configurations`);
  expect(text).toContain(`${PLANTED.length} planted defects`);
});

test("a path that is not continued would have led to no other state", TIMEOUT, async () => {
  const name = "smtp pipelining string/string 2/1";
  const merged = await exploreNamed(name, { deviations: 0, length: 7 });
  const whole = await exploreNamed(name, { deviations: 0, length: 7 }, { merge: false });
  expect(whole.paths).toBeGreaterThan(5 * merged.paths);
  expect(new Set(whole.reached)).toEqual(new Set(merged.reached));
  expect(whole.found).toEqual([]);
});

test("the first path that finds something is a shortest one", TIMEOUT, async () => {
  const planted = PLANTED.find(({ name }) => name === "no QUIT");
  const { found } = await exploreNamed(planted?.where ?? "", { deviations: 0 }, { defect: planted?.defect ?? {} });
  violations();
  const rule = expect.stringMatching(/QUIT before the end/);
  expect(found).toContainEqual(expect.objectContaining({ rule, path: ["quit", "connect", "ok"] }));
});

test.each(PLANTED.map((planted) => [planted.name, planted] as const))(
  "a planted defect breaks its rule: %s",
  async (_, { where, path, defect, rule }) => {
    const found = await findingsOn(where, path, defect);
    // The judge of every test may have noticed it, too.
    violations();
    expect(found.map((one) => one.rule)).toContainEqual(expect.stringMatching(rule));
  },
);
