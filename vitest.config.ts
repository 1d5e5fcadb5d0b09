import { readdirSync, readFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { defineConfig } from "vitest/config";
import { BaseSequencer, type TestSpecification } from "vitest/node";

/** Folders whose tests another run has, as scripts/test.mjs divides them. `--exclude` does not reach the projects. */
const elsewhere = process.env["SMTPLIB_TESTS_ELSEWHERE"]?.split(",") ?? [];
const files = readdirSync("test", { recursive: true, encoding: "utf8" })
  .filter((name) => name.endsWith(".test.ts"))
  .map((name) => join("test", name))
  .filter((file) => !elsewhere.some((folder) => file.startsWith(folder)));
/** Whether a file's first comment has a line that begins with this word. */
const says = (file: string, word: string): boolean =>
  readFileSync(file, "utf8").split("*/", 1)[0]?.includes(`\n * ${word} `) === true;
const onNode = !("Bun" in globalThis || "Deno" in globalThis);
/** Files that say `@node` would do the same on each runtime: they read documents, or start the runtimes themselves. */
const here = files.filter((file) => onNode || !says(file, "@node"));
/**
 * The test files of a process share the modules that they load, which halves the time. Those that replace modules, and
 * those that say `@isolated`, have a process of their own.
 */
const REPLACES = /\bvi\.(?:mock|doMock|resetModules)\(/;
const isolated = here.filter((file) => says(file, "@isolated") || REPLACES.test(readFileSync(file, "utf8")));

const common = {
  // The judge of the wire sits under every test.
  setupFiles: ["test/judge/setup.ts"],
  // On Node a larger young generation takes a twentieth of the time off; Deno and Bun have other options.
  execArgv: onNode ? ["--max-semi-space-size=64"] : [],
  testTimeout: 20_000,
  hookTimeout: 30_000,
};

/** The folders whose files wait longest: for real servers, queues, other processes and pauses. */
const WAITING = ["servers", "outbox", "packaging", "pool", "transports", "proxy", "peers"];
/** Each runtime begins with another folder, so that the three do not keep the same server busy. */
const begin = onNode ? 2 : "Deno" in globalThis ? 0 : 4;

/** Those that wait begin first, so that the others compute meanwhile, and nothing waits alone at the end. */
class WaitingFirst extends BaseSequencer {
  override async sort(specs: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId, project }: TestSpecification): number => {
      const place = WAITING.findIndex((folder) => moduleId.includes(`/test/${folder}/`));
      if (project.config.isolate || place < 0) return project.config.isolate ? -1 : WAITING.length;
      return (place - begin + WAITING.length) % WAITING.length;
    };
    return (await super.sort(specs)).sort((one, other) => rank(one) - rank(other));
  }
}

export default defineConfig({
  test: {
    // What vite makes of a file serves all runtimes and later runs: it is found by the file's content.
    experimental: { fsModuleCache: true },
    sequence: { sequencer: WaitingFirst },
    // There is nothing to run for a filter that names files for Node alone.
    passWithNoTests: !onNode,
    // Most tests wait for a server or a deadline: twice as many workers as processors keep these busy.
    maxWorkers: 2 * availableParallelism(),
    projects: [
      { test: { ...common, name: "isolated", include: isolated } },
      {
        test: { ...common, name: "shared", include: here.filter((file) => !isolated.includes(file)), isolate: false },
      },
    ],
  },
});
