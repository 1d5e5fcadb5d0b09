/** The package with the judge of the wire at its public interfaces, for separate programs. */
import { existsSync } from "node:fs";
import { cp, mkdtemp, readdir, readFile, rename, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { build } from "esbuild";
import { expect } from "vitest";
import { type Folder, installPackage } from "./installed.ts";
import { root } from "./snippets.ts";

/** Entry point -> its replaced exports, written with `judged()` and its `own` exports. */
const SEAMS: Readonly<Record<string, string>> = {
  // Loads the judge before the first message, so that it observes the reports.
  index: "",
  nodemailer: "",
  upyo: "",
  "transports/node": "export const connect = judged(own.connect);",
  "transports/deno": "export const connect = judged(own.connect);",
  "transports/bun": "export const connect = judged(own.connect);",
  "transports/workers": "export const connect = judged(own.connect);",
  "transports/web-streams": "export const webStreams = (open) => judged(own.webStreams(open));",
  proxy:
    "export const socks = (...args) => judged(own.socks(...args));\n" +
    "export const httpConnect = (...args) => judged(own.httpConnect(...args));",
  testing:
    "const led = (to) => Object.assign(to, { transport: judged(to.transport) });\n" +
    "export const startServer = (...args) => led(own.startServer(...args));\n" +
    "export const replayTranscript = (...args) => led(own.replayTranscript(...args));",
};

/** A folder with all examples, the packed tarball including the judge, and the other installed packages. */
export async function judgedExamples(): Promise<Folder> {
  const folder = await installPackage();
  const modules = join(folder.path, "node_modules");
  const own = await readdir(modules);
  const others = (await readdir(join(root, "node_modules"))).filter((name) => !own.includes(name));
  await Promise.all(others.map((name) => symlink(join(root, "node_modules", name), join(modules, name))));
  const filter = (path: string): boolean => !/node_modules|\.broken-/.test(path.slice(root.length));
  await cp(join(root, "examples"), join(folder.path, "examples"), { recursive: true, filter });
  await putJudgeInto(folder);
  return folder;
}

/** Puts the judge into the package that is installed in a folder. */
export async function putJudgeInto({ path }: Pick<Folder, "path">): Promise<void> {
  const dist = join(path, "node_modules/smtplib/dist");
  await build({
    entryPoints: [join(import.meta.dirname, "../judge/in-package.ts")],
    outfile: join(dist, "judge.js"),
    bundle: true,
    format: "esm",
    target: "es2022",
    platform: "neutral",
    logLevel: "error",
  });
  for (const [name, code] of Object.entries(SEAMS)) {
    const base = name.replace(/.*\//, "");
    const up = name.includes("/") ? "../" : "./";
    await rename(join(dist, `${name}.js`), join(dist, `${name}.own.js`));
    const imports = `import * as own from "./${base}.own.js";\nimport { judged } from "${up}judge.js";`;
    const exports = `export * from "./${base}.own.js";\n${code}`;
    await writeFile(join(dist, `${name}.js`), `${imports}\n${exports}\n`);
  }
}

/** The report of the judge in a program. */
export type JudgeReport = {
  /** Variables for the program's environment. */
  readonly env: Readonly<Record<string, string>>;
  /** Fails if the judge found a violation, or observed fewer events than these. */
  expectNothing(least: { connections?: number; transactions?: number; reports?: number }): Promise<void>;
};

/** Creates the report for one run of a program. */
export async function judgeReport(): Promise<JudgeReport> {
  const folder = await mkdtemp(join(tmpdir(), "smtplib-judge-"));
  const file = join(folder, "report.jsonl");
  return {
    env: { SMTPLIB_JUDGE_REPORT: file },
    async expectNothing(least) {
      const text = existsSync(file) ? await readFile(file, "utf8") : "";
      await rm(folder, { recursive: true });
      expectNothingIn(
        text.split("\n").filter((line) => line !== ""),
        least,
      );
    },
  };
}

/** The same check for lines that a program reported in another way. */
export function expectNothingIn(
  lines: readonly string[],
  { connections = 1, transactions = 1, reports = 1 }: Parameters<JudgeReport["expectNothing"]>[0],
): void {
  const said = lines.map((line): { seen: Record<string, number>; violations: unknown[] } => JSON.parse(line));
  expect(
    said.flatMap(({ violations }) => violations),
    "violations of the RFCs",
  ).toEqual([]);
  const most = (name: string): number => Math.max(0, ...said.map(({ seen }) => seen[name] ?? 0));
  expect(most("connections"), "connections that the judge saw").toBeGreaterThanOrEqual(connections);
  expect(most("transactions"), "transactions that the judge saw").toBeGreaterThanOrEqual(transactions);
  expect(most("reports"), "reports of messages that the judge saw").toBeGreaterThanOrEqual(reports);
}
