/**
 * The examples for test runners pass, each with its own runner, and would fail if the tested code were wrong.
 *
 * @node It starts each runtime itself.
 */
import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { type Folder, run } from "../packaging/installed.ts";
import { judgedExamples, judgeReport } from "../packaging/judged.ts";
import { root } from "../packaging/snippets.ts";
import { type Runtime, runtimes } from "../support/runtimes.ts";

const commandOf = (name: string): Runtime["command"] => {
  const found = runtimes.find((runtime) => runtime.name === name);
  if (found === undefined) throw new Error(`there is no runtime ${name}`);
  return found.command;
};
const [deno] = commandOf("Deno");
const [bun] = commandOf("Bun");
const vitest = join(root, "node_modules/vitest/vitest.mjs");

const runners: Record<string, { command: readonly string[]; passes: RegExp; fails: RegExp }> = {
  "node:test": {
    command: [...commandOf("Node"), "--test", "--test-reporter=tap", "node.test.mjs"],
    passes: /^# pass 2$/m,
    fails: /^# fail 1$/m,
  },
  vitest: { command: [...commandOf("Node"), vitest, "run"], passes: /4 passed/, fails: /2 failed/ },
  "deno test": {
    command: [deno, "test", "-A", "--no-check", "deno.test.mjs"],
    passes: /2 passed/,
    fails: /1 failed/,
  },
  "bun test": { command: [bun, "test", "./bun.test.mjs"], passes: /2 pass/, fails: /1 fail/ },
};

describe.each(Object.entries(runners))("the example for %s", (_, { command, passes, fails }) => {
  const env = { NO_COLOR: "1", DENO_NO_UPDATE_CHECK: "1" };
  let folder: Folder;

  beforeAll(async () => {
    folder = await judgedExamples();
  }, 60_000);

  afterAll(() => folder.remove());

  it("passes, and its client breaks no rule of the RFCs", async () => {
    const judge = await judgeReport();
    const { status, output } = await run(join(folder.path, "examples/testing"), command, { ...env, ...judge.env });
    expect(status, output).toBe(0);
    expect(output).toMatch(passes);
    await judge.expectNothing({ connections: 2, transactions: 2, reports: 0 });
  });

  it("fails where another message is sent", async () => {
    // Beside the examples, where the package can be found.
    const folder = await mkdtemp(join(root, "examples/.broken-"));
    onTestFinished(() => rm(folder, { recursive: true, force: true }));
    await cp(join(root, "examples/testing"), folder, { recursive: true });
    const code = await readFile(join(folder, "welcome.mjs"), "utf8");
    await writeFile(join(folder, "welcome.mjs"), code.replace("Subject: Welcome", "Subject: Begone"));
    const { status, output } = await run(folder, command, env);
    expect(status).not.toBe(0);
    expect(output).toMatch(fails);
  });
});
