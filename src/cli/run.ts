/** Runs the command that the arguments name, and turns every failure into one line and an exit code. */
import { causes, EXIT, type ExitCode, exitCodeOf, UsageError } from "./exit-codes.ts";
import { type CommandDescription, commandHelp, programHelp } from "./help.ts";
import { namedByOption } from "./library-arguments.ts";
import { PROBE, runProbe } from "./probe/command.ts";
import { runSend, SEND } from "./send/command.ts";
import { runServe, SERVE } from "./serve/command.ts";
import { type Surroundings, styled } from "./surroundings.ts";
import { printable } from "./text.ts";
import { VERSION } from "./version.ts";

type Command = {
  readonly description: CommandDescription;
  readonly run: (args: readonly string[], around: Surroundings) => Promise<ExitCode>;
};

const COMMANDS: readonly Command[] = [
  { description: PROBE, run: runProbe },
  { description: SEND, run: runSend },
  { description: SERVE, run: runServe },
];

/** Runs the program and returns its exit code. Never throws. */
export async function run(args: readonly string[], around: Surroundings): Promise<ExitCode> {
  const [name = "", ...rest] = args;
  const command = COMMANDS.find(({ description }) => description.name === name);
  try {
    if (command === undefined) return runWithout(name, around);
    if (asksForHelp(rest)) {
      around.stdout.write(commandHelp(command.description, around.stdout));
      return EXIT.ok;
    }
    return await command.run(rest, around);
  } catch (error) {
    return report(namedByOption(error), command?.description.name, around);
  }
}

function runWithout(name: string, { stdout }: Surroundings): ExitCode {
  const help = programHelp(
    COMMANDS.map(({ description }) => description),
    VERSION,
    stdout,
  );
  if (name === "--version" || name === "-V") stdout.write(`${VERSION}\n`);
  else if (["", "--help", "-h", "help"].includes(name)) stdout.write(help);
  else
    throw new UsageError(
      JSON.stringify(name),
      `is no command: ${COMMANDS.map((one) => one.description.name).join(", ")}`,
    );
  return name === "" ? EXIT.usage : EXIT.ok;
}

/** The value of an option may be "-h": only an argument of its own counts. */
function asksForHelp(args: readonly string[]): boolean {
  const end = args.indexOf("--");
  return (end < 0 ? args : args.slice(0, end)).some((arg) => arg === "--help" || arg === "-h");
}

function report(error: unknown, command: string | undefined, { stderr, signal }: Surroundings): ExitCode {
  const program = command === undefined ? "smtplib" : `smtplib ${command}`;
  const code = exitCodeOf(error);
  // A stopped command did not finish, whatever its error.
  if (signal.aborted && code !== EXIT.unknown && causes(error).includes(signal.reason)) {
    stderr.write(`${program}: ${printable(textOf(signal.reason))}\n`);
    return EXIT.temporary;
  }
  const text = textOf(error);
  const help = code === EXIT.usage ? `; see ${program} --help` : "";
  stderr.write(`${styled(stderr, "red", program)}: ${printable(text)}${help}\n`);
  if (code === EXIT.software && error instanceof Error) stderr.write(`${error.stack ?? ""}\n`);
  return code;
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
