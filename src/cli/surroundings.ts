/** The surroundings of a command: its streams, the environment, the terminal. Tests pass others. */
import { once } from "node:events";
import process from "node:process";
import { styleText } from "node:util";
import { CommandError, EXIT } from "./exit-codes.ts";
import { reasonOf } from "./files.ts";

/** A stream to write text to. */
export type Output = {
  write(text: string): void;
  /** Whether it is a terminal. */
  readonly isTerminal: boolean;
  /** Whether colours are wanted there. */
  readonly hasColours: boolean;
};

/** The surroundings of a command. */
export type Surroundings = {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly stdin: AsyncIterable<Uint8Array | string>;
  readonly stdout: Output;
  readonly stderr: Output;
  /** Prompts on the terminal without echo; undefined if there is no terminal. */
  readonly ask: (question: string) => Promise<string | undefined>;
  /** Fires when the command is to end: Ctrl-C, SIGTERM. */
  readonly signal: AbortSignal;
};

/** The surroundings of this process. */
export function processSurroundings(): Surroundings {
  const stopping = new AbortController();
  for (const name of ["SIGINT", "SIGTERM"] as const) {
    process.once(name, () => stopping.abort(new Error(`stopped by ${name}`)));
  }
  const { stdout, stderr, env } = process;
  const { signal } = stopping;
  const ask = (question: string): Promise<string | undefined> => askHidden(question, signal);
  return { env, stdin: input(signal), stdout: output(stdout), stderr: output(stderr), ask, signal };
}

/** Standard input, until the signal fires. */
async function* input(signal: AbortSignal): AsyncGenerator<Uint8Array | string> {
  const { stdin } = process;
  const chunks: AsyncIterator<Uint8Array | string> = stdin[Symbol.asyncIterator]();
  const stopped = new Promise<never>((_, reject) => {
    const stop = (): void => reject(signal.reason);
    if (signal.aborted) stop();
    else signal.addEventListener("abort", stop, { once: true });
  });
  stopped.catch(() => {});
  for (;;) {
    const { done, value } = await Promise.race([chunks.next(), stopped]);
    if (done === true) return;
    yield value;
  }
}

function output(stream: NodeJS.WriteStream): Output {
  const { NO_COLOR, FORCE_COLOR, TERM } = process.env;
  const isTerminal = stream.isTTY === true;
  const forced = FORCE_COLOR !== undefined && FORCE_COLOR !== "0";
  const onError = (error: unknown): void => {
    // A reader that closes the pipe, as `head` does, is not an error of the command.
    if (failed || (error instanceof Error && Reflect.get(error, "code") === "EPIPE")) return;
    failed = true;
    process.exitCode ||= EXIT.cannotCreate;
    if (stream !== process.stderr) process.stderr.write(`the output cannot be written: ${reasonOf(error)}\n`);
  };
  let failed = false;
  stream.on("error", onError);
  return {
    write(text) {
      try {
        stream.write(text);
      } catch (error) {
        // Deno writes at once, and throws.
        onError(error);
      }
    },
    isTerminal,
    hasColours: forced || (isTerminal && (NO_COLOR ?? "") === "" && TERM !== "dumb"),
  };
}

/** A style by its name, of those that `util.styleText` knows. */
export type Style = "bold" | "dim" | "red" | "green" | "yellow" | "cyan" | "magenta";

/** A text in a style, where the output has colours. */
export function styled({ hasColours }: Output, style: Style, text: string): string {
  return hasColours && text !== "" ? styleText(style, text, { validateStream: false }) : text;
}

/** Reads one line from the terminal that standard input is, without showing it. */
async function askHidden(question: string, signal: AbortSignal): Promise<string | undefined> {
  const { stdin, stderr } = process;
  if (stdin.isTTY !== true) return undefined;
  stdin.setRawMode(true);
  stdin.resume();
  // Only now is the prompt printed: earlier input would be echoed.
  stderr.write(question);
  try {
    return await readHidden(signal);
  } finally {
    stdin.setRawMode(false);
    stdin.pause();
    stderr.write("\n");
  }
}

/** The input up to a line end; undefined if there is none. */
async function readHidden(signal: AbortSignal): Promise<string | undefined> {
  const decoder = new TextDecoder();
  let typed = "";
  for (;;) {
    const chunk = await nextChunk(signal);
    if (chunk === undefined) return undefined;
    for (const key of typeof chunk === "string" ? chunk : decoder.decode(chunk, { stream: true })) {
      if (key === "\r" || key === "\n" || key === "\x04") return typed;
      if (key === "\x03") throw new CommandError(EXIT.temporary, "stopped by Ctrl-C");
      typed = key === "\x7f" || key === "\b" ? typed.replace(/.$/su, "") : typed + key;
    }
  }
}

/** The next keys; undefined if the terminal is closed. */
function nextChunk(signal: AbortSignal): Promise<Uint8Array | string | undefined> {
  const { stdin } = process;
  const listening = new AbortController();
  const { signal: done } = listening;
  const chunk = once(stdin, "data", { signal: AbortSignal.any([signal, done]) }).then(([first]) => first);
  const end = once(stdin, "end", { signal: done }).then(() => undefined);
  return Promise.race([chunk, end])
    .catch((error: unknown) => {
      signal.throwIfAborted();
      throw error;
    })
    .finally(() => {
      listening.abort();
      for (const one of [chunk, end]) one.catch(() => {});
    });
}
