/** The package as its users get it: packed, and installed into an empty folder. */
import { type ExecFileException, execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

const root = join(import.meta.dirname, "../..");

/** What a process said, and how it ended. */
export type Outcome = { readonly status: number; readonly output: string };

/** A folder with nothing but the package in its node_modules. */
export type Folder = {
  readonly path: string;
  remove(): Promise<void>;
};

/** Packs what is built, as `npm publish` would, and installs it. */
export async function installPackage(): Promise<Folder> {
  if (!existsSync(join(root, "dist/index.d.ts"))) throw new Error("dist/ is missing: npm run build");
  const path = await mkdtemp(join(tmpdir(), "smtplib-installed-"));
  // npm hands its own settings on to what it runs: none of them may decide where this goes.
  const quiet = ["--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"];
  await succeed(root, ["npm", "pack", ...quiet, "--pack-destination", path]);
  const [tarball] = await readdir(path);
  await succeed(path, ["npm", "install", "--prefix", path, "--offline", ...quiet, join(path, String(tarball))]);
  await rm(join(path, String(tarball)));
  return { path, remove: () => rm(path, { recursive: true, force: true }) };
}

/** Runs a command to its end, for a minute at most. */
export function run(
  cwd: string,
  [file = "", ...args]: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<Outcome> {
  return new Promise((resolve) => {
    const options = { cwd, env: { ...process.env, ...env }, timeout: 60_000 };
    execFile(file, args, options, (error: ExecFileException | null, stdout, stderr) => {
      const status = error === null ? 0 : typeof error.code === "number" ? error.code : 1;
      resolve({ status, output: `${stdout}${stderr}${error?.killed ? "\n(killed: it did not end)" : ""}` });
    });
  });
}

async function succeed(cwd: string, command: readonly string[]): Promise<void> {
  const { status, output } = await run(cwd, command);
  if (status !== 0) throw new Error(`${command.join(" ")}: ${output}`);
}
