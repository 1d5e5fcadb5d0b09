/** `--trace` and `--html`: the dialogue with its times as text, and as a picture. */
import type { Transport } from "../index.ts";
import { type Recording, recordTranscript, renderTranscript } from "../testing/index.ts";
import type { Arguments, OptionTable } from "./arguments.ts";
import { EXIT, type ExitCode } from "./exit-codes.ts";
import { checkWritable, reasonOf, writeText } from "./files.ts";
import { type Output, type Surroundings, styled } from "./surroundings.ts";

/** The options that show the dialogue. */
export const TRACE_OPTIONS: OptionTable = {
  trace: { short: "t", help: "print the dialogue with its times, without secrets, to standard error" },
  "trace-html": { value: "FILE", help: "write the dialogue as a diagram to an HTML page" },
};

/** The shorter name of that option, for commands without another `--html`. */
export const PICTURE_OPTION: OptionTable = { html: { value: "FILE", help: "the same as --trace-html" } };

/** The bytes of each message that a trace shows. */
const SHOWN_CONTENT = 2_000;

/** The bytes of each message that a picture keeps. */
const KEPT_CONTENT = 65_536;

/** The trace of a command. */
export class Trace {
  readonly #printed: boolean;
  /** Writes the picture of a transcript, if one was requested. */
  readonly #picture: ((transcript: string) => Promise<void>) | undefined;
  readonly #around: Surroundings;
  #recording: Recording | undefined;

  constructor(args: Arguments, around: Surroundings, pictureOptions?: readonly string[]) {
    this.#printed = args.has("trace");
    this.#picture = pictureFile(args, pictureOptions);
    this.#around = around;
  }

  /** The transport, observed if that was requested. Call it once. */
  observe(transport: Transport): Transport {
    let observed = transport;
    if (this.#printed) {
      const onLine = tracePrinter(this.#around.stderr);
      observed = recordTranscript(observed, { times: true, maxContent: SHOWN_CONTENT, onLine }).transport;
    }
    if (this.#picture !== undefined) {
      this.#recording ??= recordTranscript(observed, { times: true, maxContent: KEPT_CONTENT });
      observed = this.#recording.transport;
    }
    return observed;
  }

  /** Whether anything is observed. */
  get isOn(): boolean {
    return this.#printed || this.#picture !== undefined;
  }

  /** Runs a command and writes its picture, if one was requested, even if the command fails. */
  async during(task: () => Promise<ExitCode>): Promise<ExitCode> {
    let code: ExitCode;
    try {
      code = await task();
    } catch (error) {
      await this.#finish().catch(() => {});
      throw error;
    }
    try {
      await this.#finish();
    } catch (error) {
      // The error of the command matters more than that of the picture.
      if (code === EXIT.ok) throw error;
      const { stderr } = this.#around;
      stderr.write(`${styled(stderr, "red", "error")}: ${reasonOf(error)}\n`);
    }
    return code;
  }

  async #finish(): Promise<void> {
    await this.#picture?.(this.#recording?.transcript ?? "");
  }
}

/**
 * Returns a function that writes the picture of a transcript into the file that an option names; undefined without one.
 * @throws {UsageError} if more than one was given; {CommandError} if the file cannot be written
 */
export function pictureFile(
  args: Arguments,
  options: readonly string[] = ["trace-html", "html"],
): ((transcript: string) => Promise<void>) | undefined {
  args.atMostOneOf(...options);
  const option = options.find((name) => args.has(name));
  const file = option === undefined ? undefined : args.text(option);
  if (file === undefined) return undefined;
  checkWritable(`--${option}`, file);
  return (transcript) => writeText(`--${option}`, file, renderTranscript(transcript));
}

/** Prints the lines of a recording with their times, and with the number of the session if there are several. */
export function tracePrinter(output: Output): (line: string, about: { session: number; at: number }) => void {
  return (line, { session, at }) => {
    const time = styled(output, "dim", at.toFixed(1).padStart(9));
    const which = session === 1 ? "" : styled(output, "dim", `[${session}] `);
    output.write(`${time}  ${which}${colouredLine(output, line)}\n`);
  };
}

function colouredLine(output: Output, line: string): string {
  if (line.startsWith("C")) return styled(output, "cyan", line);
  if (/^S: [45]/.test(line)) return styled(output, "red", line);
  return line.startsWith("S") ? line : styled(output, "magenta", line);
}
