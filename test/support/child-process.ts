/** Runs programs in separate processes, on the runtime of the tests. */
import { type ExecFileException, execFile, spawn } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { onTestFinished } from "vitest";
import { running } from "./runtimes.ts";

const root = join(import.meta.dirname, "../..");

/** The exit code, the output and the duration of a process. */
export type Ended = {
  /** Its exit code; undefined if a signal ended it. */
  readonly code: number | undefined;
  readonly output: string;
  /** Milliseconds from its line "ready" to its end; NaN without that line. */
  readonly milliseconds: number;
};

/** The code of each program, which is bundled once. */
const codes = new Map<string, Promise<string>>();

/** Bundles a program, since Node 20 does not run TypeScript; returns the file. */
export async function bundled(entry: string): Promise<string> {
  const code = codes.get(entry) ?? bundle(entry);
  codes.set(entry, code);
  const folder = await mkdtemp(join(tmpdir(), "smtplib-child-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const file = join(folder, "child.mjs");
  await writeFile(file, await code);
  return file;
}

async function bundle(entry: string): Promise<string> {
  const options = ["--bundle", "--format=esm", "--platform=node", "--log-level=error"];
  const settings = { maxBuffer: 10_000_000 };
  const esbuild = join(root, "node_modules/.bin/esbuild");
  return (await promisify(execFile)(esbuild, [join(root, entry), ...options], settings)).stdout;
}

/** Runs a file from `bundled` with an argument, and ends it after `limit` milliseconds if it does not end by itself. */
export function runChild(
  file: string,
  argument: unknown,
  limit: number,
  env: Readonly<Record<string, string>> = {},
): Promise<Ended> {
  const [command, ...args] = [...running.command, file, JSON.stringify(argument)];
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"], env: { ...process.env, ...env } });
    let output = "";
    let ready = Number.NaN;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const take = (chunk: unknown): void => {
      output += String(chunk);
      if (!Number.isNaN(ready) || !/^ready$/m.test(output)) return;
      ready = performance.now();
      timer = setTimeout(() => child.kill("SIGKILL"), limit);
    };
    child.stdout.on("data", take);
    child.stderr.on("data", take);
    child.on("error", (error: ExecFileException) => reject(error));
    child.on("close", (code) => {
      clearTimeout(timer);
      resolve({ code: code ?? undefined, output, milliseconds: performance.now() - ready });
    });
  });
}
