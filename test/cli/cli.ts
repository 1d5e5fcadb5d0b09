/** The command line in the test's own process, with its surroundings in memory. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { run } from "../../src/cli/run.ts";
import type { Output, Surroundings } from "../../src/cli/surroundings.ts";

/** How a command ended, and what it printed. */
export type Ran = { readonly code: number; readonly stdout: string; readonly stderr: string };

/** What a command finds around it; everything has a default. */
export type Around = {
  readonly env?: Readonly<Record<string, string>>;
  readonly stdin?: string | Uint8Array;
  /** What is typed when it asks; without it there is no terminal. */
  readonly typed?: string;
  readonly isTerminal?: boolean;
  readonly signal?: AbortSignal;
  /** Receives what is printed to standard output, as it is. */
  readonly onOutput?: (text: string) => void;
};

/** Runs the program with these arguments. */
export async function cli(args: readonly string[], around: Around = {}): Promise<Ran> {
  const { env = {}, stdin = "", typed, isTerminal = false, onOutput } = around;
  const { signal = new AbortController().signal } = around;
  const printed = { stdout: "", stderr: "" };
  const output = (name: "stdout" | "stderr"): Output => ({
    write(text) {
      printed[name] += text;
      if (name === "stdout") onOutput?.(text);
    },
    isTerminal,
    hasColours: false,
  });
  const surroundings: Surroundings = {
    env,
    stdin: (async function* () {
      yield stdin;
    })(),
    stdout: output("stdout"),
    stderr: output("stderr"),
    ask: async () => typed,
    signal,
  };
  const code = await run(args, surroundings);
  return { code, ...printed };
}

/** A folder that is removed with the test. */
export async function scratch(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "smtplib-cli-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** A file with this content; its path. */
export async function fileOf(content: string | Uint8Array, name = "file"): Promise<string> {
  const path = join(await scratch(), name);
  await writeFile(path, content);
  return path;
}
