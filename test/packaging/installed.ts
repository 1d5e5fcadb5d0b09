/** The package as users get it: packed, and installed into an empty folder. */
import { type ExecFileException, execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, statSync } from "node:fs";
import { cp, mkdir, mkdtemp, readdir, rename, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

const root = join(import.meta.dirname, "../..");

/** The exit code and the output of a process. */
export type Outcome = { readonly status: number; readonly output: string };

/** A folder with nothing but the package in its node_modules. */
export type Folder = {
  readonly path: string;
  remove(): Promise<void>;
};

/**
 * Packs the built files as `npm publish` would, and installs them: once for the same files, with a copy for each
 * caller.
 */
export async function installPackage(): Promise<Folder> {
  if (!existsSync(join(root, "dist/index.d.ts"))) throw new Error("dist/ is missing: npm run build");
  const installed = join(root, ".cache", `installed-${await fingerprint()}`);
  if (!existsSync(installed)) await install(installed);
  const path = await mkdtemp(join(tmpdir(), "smtplib-installed-"));
  await cp(installed, path, { recursive: true });
  return { path, remove: () => rm(path, { recursive: true, force: true }) };
}

/** A hash that changes with each file that npm would pack. */
async function fingerprint(): Promise<string> {
  const folders = ["dist", "src", "transports"];
  const inside = await Promise.all(folders.map((name) => readdir(join(root, name), { recursive: true })));
  const names = inside.flatMap((files, index) => files.map((file) => join(folders[index] ?? "", file)));
  const hash = createHash("sha256");
  for (const name of [...names, "package.json", "README.md", "CHANGELOG.md", "LICENSE"]) {
    const { size, mtimeMs } = statSync(join(root, name));
    hash.update(`${name} ${size} ${mtimeMs}\n`);
  }
  return hash.digest("hex").slice(0, 16);
}

/** Installs into a folder with another name first: another process may do the same at the same time. */
async function install(target: string): Promise<void> {
  const cache = join(root, ".cache");
  await mkdir(cache, { recursive: true });
  const path = await mkdtemp(join(cache, "installing-"));
  try {
    // npm passes its own settings on to its child processes: none of them may change the target of this.
    const quiet = ["--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"];
    await succeed(root, ["npm", "pack", ...quiet, "--pack-destination", path]);
    const [tarball] = await readdir(path);
    await succeed(path, ["npm", "install", "--prefix", path, "--offline", ...quiet, join(path, String(tarball))]);
    await rm(join(path, String(tarball)));
    for (const name of await readdir(cache)) {
      const old = join(cache, name);
      if (name.startsWith("installed-") && old !== target) await rm(old, { recursive: true, force: true });
    }
    await rename(path, target).catch((error: unknown) => {
      if (!existsSync(target)) throw error;
    });
  } finally {
    await rm(path, { recursive: true, force: true });
  }
}

/** Runs a command to its end, for at most one minute. */
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
