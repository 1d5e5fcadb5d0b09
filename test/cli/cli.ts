/** Runs the command line in the test's own process, with its surroundings in memory. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { run } from "../../src/cli/run.ts";
import type { Output, Surroundings } from "../../src/cli/surroundings.ts";

/** The exit code and the output of a command. */
export type Ran = { readonly code: number; readonly stdout: string; readonly stderr: string };

/** The surroundings of a command; everything has a default. */
export type Around = {
  readonly env?: Readonly<Record<string, string>>;
  readonly stdin?: string | Uint8Array | AsyncIterable<Uint8Array | string>;
  /** The text that is typed at a prompt; without it there is no terminal. */
  readonly typed?: string;
  readonly isTerminal?: boolean;
  readonly signal?: AbortSignal;
  /** Receives the unchanged standard output. */
  readonly onOutput?: (text: string) => void;
  /** Receives the standard error. */
  readonly onError?: (text: string) => void;
};

/** Runs the program with these arguments. */
export async function cli(args: readonly string[], around: Around = {}): Promise<Ran> {
  const { env = {}, stdin = "", typed, isTerminal = false, onOutput, onError } = around;
  const { signal = new AbortController().signal } = around;
  const printed = { stdout: "", stderr: "" };
  const output = (name: "stdout" | "stderr"): Output => ({
    write(text) {
      printed[name] += text;
      if (name === "stdout") onOutput?.(text);
      else onError?.(text);
    },
    isTerminal,
    hasColours: false,
  });
  const surroundings: Surroundings = {
    env,
    stdin: typeof stdin === "string" || stdin instanceof Uint8Array ? once(stdin) : stdin,
    stdout: output("stdout"),
    stderr: output("stderr"),
    ask: async () => typed,
    signal,
  };
  const code = await run(args, surroundings);
  return { code, ...printed };
}

async function* once(chunk: string | Uint8Array): AsyncGenerator<string | Uint8Array> {
  yield chunk;
}

/** Creates a folder that is removed with the test. */
export async function scratch(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "smtplib-cli-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** Creates a file with this content; returns its path. */
export async function fileOf(content: string | Uint8Array, name = "file"): Promise<string> {
  const path = join(await scratch(), name);
  await writeFile(path, content);
  return path;
}

/** A running server of the command line. */
export type Serving = {
  readonly port: number;
  /** The file of its authority, if it has made one. */
  readonly ca: string | undefined;
  /** The address of its page. */
  readonly ui: string | undefined;
  /** The messages that it has printed so far. */
  readonly messages: readonly Record<string, unknown>[];
  /** Ends it; returns its exit code and output. */
  stop(): Promise<Ran>;
};

/** Starts `serve` on a free port; it ends with the test. */
export async function serve(...args: readonly string[]): Promise<Serving> {
  const stopping = new AbortController();
  const messages: Record<string, unknown>[] = [];
  let running: Promise<Ran> | undefined;
  const stop = async (): Promise<Ran> => {
    stopping.abort(new Error("stopped by the test"));
    return (await running) ?? { code: -1, stdout: "", stderr: "" };
  };
  onTestFinished(async () => void (await stop()));
  const { listening, ui } = await new Promise<{ listening: { port: number; ca?: string }; ui?: string }>(
    (resolve, reject) => {
      const onOutput = (text: string): void => {
        const line = JSON.parse(text);
        if (line.listening === undefined) messages.push(line.message);
        else resolve(line);
      };
      running = cli(["serve", "--port", "0", "--json", ...args], { signal: stopping.signal, onOutput });
      running.then(({ code, stderr }) => reject(new Error(`serve ended with ${code}: ${stderr}`)), reject);
    },
  );
  return { port: listening.port, ca: listening.ca, ui, messages, stop };
}
