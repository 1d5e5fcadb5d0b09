/** What a command has around it: its streams, the environment, the terminal. Tests hand in others. */
import { once } from "node:events";
import process from "node:process";
import { styleText } from "node:util";

/** A stream to write text to. */
export type Output = {
  write(text: string): void;
  /** Whether a person looks at it. */
  readonly isTerminal: boolean;
  /** Whether colours are wanted there. */
  readonly hasColours: boolean;
};

/** What a command has around it. */
export type Surroundings = {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly stdin: AsyncIterable<Uint8Array | string>;
  readonly stdout: Output;
  readonly stderr: Output;
  /** Asks on the terminal, without an echo; undefined where there is none. */
  readonly ask: (question: string) => Promise<string | undefined>;
  /** Fires when the command is to end: Ctrl-C, SIGTERM. */
  readonly signal: AbortSignal;
};

/** Those of this process. */
export function processSurroundings(): Surroundings {
  const stopping = new AbortController();
  for (const name of ["SIGINT", "SIGTERM"] as const) {
    process.once(name, () => stopping.abort(new Error(`stopped by ${name}`)));
  }
  const { stdin, stdout, stderr, env } = process;
  return { env, stdin, stdout: output(stdout), stderr: output(stderr), ask, signal: stopping.signal };
}

function output(stream: NodeJS.WriteStream): Output {
  const { NO_COLOR, FORCE_COLOR, TERM } = process.env;
  const isTerminal = stream.isTTY === true;
  const forced = FORCE_COLOR !== undefined && FORCE_COLOR !== "0";
  // A reader that has gone, as `head` does, is no fault of the command.
  stream.on("error", () => {});
  return {
    write: (text) => void stream.write(text),
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
async function ask(question: string): Promise<string | undefined> {
  const { stdin, stderr } = process;
  if (stdin.isTTY !== true) return undefined;
  stdin.setRawMode(true);
  stdin.resume();
  // Not before: what is typed at once would show.
  stderr.write(question);
  try {
    return await readHidden();
  } finally {
    stdin.setRawMode(false);
    stdin.pause();
    stderr.write("\n");
  }
}

async function readHidden(): Promise<string> {
  let typed = "";
  for (;;) {
    const [chunk] = await once(process.stdin, "data");
    for (const key of String(chunk)) {
      if (key === "\r" || key === "\n" || key === "\x04") return typed;
      if (key === "\x03") throw new Error("stopped by Ctrl-C");
      typed = key === "\x7f" || key === "\b" ? typed.slice(0, -1) : typed + key;
    }
  }
}
