/**
 * The judge's rules: each is broken by a planted fault, and none shares code with the client.
 *
 * @node Each runtime would read the same files.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { read } from "../packaging/import-graph.ts";
import { FAULTLESS, PLANTED } from "./planted.ts";
import { verdicts } from "./play.ts";

describe("the rules", () => {
  const files = rulesFrom(["test/judge/wire-judge.ts", "test/judge/outcomes.ts"]);

  it("share no code with the client, and import nothing but each other", () => {
    expect(files.size).toBeGreaterThan(8);
    expect([...files.keys()].filter((file) => !/^test\/judge\/[\w-]+\.ts$/.test(file))).toEqual([]);
    expect([...files.values()].flatMap(({ packages }) => packages)).toEqual([]);
    // They run on every runtime of the client, so they use no globals of Node.
    expect([...files.values()].flatMap(({ names }) => names.filter((name) => /^(Buffer|process)$/.test(name)))).toEqual(
      [],
    );
  });

  const rules = new Set(
    [...files.values()].flatMap(({ strings }) => strings.filter((text) => /^RFC \d+ [\d.]+: /.test(text))),
  );

  it("are as many as docs/trust.md says, and so are the transcripts", () => {
    const text = readFileSync(join(import.meta.dirname, "../../docs/trust.md"), "utf8");
    expect(text).toContain(
      `${rules.size} rules; ${PLANTED.length} transcripts with one planted fault each; ${FAULTLESS.length} without a fault`,
    );
  });

  it("are all broken by a planted fault", () => {
    expect(rules.size).toBeGreaterThan(60);
    const named = new Set(
      PLANTED.flatMap(({ script, circumstances, reported }) =>
        verdicts(script, circumstances, reported).map(({ rule }) => rule),
      ),
    );
    expect([...rules].filter((rule) => !named.has(rule))).toEqual([]);
  });
});

/** These files, and all files that they import. */
function rulesFrom(files: readonly string[]): Map<string, ReturnType<typeof read>> {
  const found = new Map<string, ReturnType<typeof read>>();
  const open = [...files];
  for (let file = open.pop(); file !== undefined; file = open.pop()) {
    if (found.has(file)) continue;
    const one = read(file, readFileSync(join(import.meta.dirname, "../..", file), "utf8"));
    found.set(file, one);
    open.push(...one.edges.map(({ to }) => to));
  }
  return found;
}
