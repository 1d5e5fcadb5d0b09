/** Makes the texts of `--help` from the tables of options. */
import type { OptionTable } from "./arguments.ts";
import { type Output, styled } from "./surroundings.ts";

/** The description of a command, for the help and for parsing its arguments. */
export type CommandDescription = {
  readonly name: string;
  /** One line. */
  readonly summary: string;
  /** How it is called, without the name of the program. */
  readonly usage: readonly string[];
  /** Groups of options, each under its heading. */
  readonly options: Readonly<Record<string, OptionTable>>;
  /** Lines that end the help. */
  readonly notes?: readonly string[];
};

/** The options that every command has. */
export const COMMON_OPTIONS: OptionTable = {
  help: { short: "h", help: "show this help" },
};

/** The help of a command. */
export function commandHelp(command: CommandDescription, output: Output): string {
  const usage = command.usage.map((line) => `  smtplib ${line}`);
  const groups = Object.entries(command.options).map(([title, table]) => optionGroup(title, table, output));
  const notes = command.notes === undefined ? [] : ["", ...command.notes];
  return [`${command.summary}`, "", ...usage, ...groups.flatMap((group) => ["", ...group]), ...notes, ""].join("\n");
}

/** The help of the program. */
export function programHelp(commands: readonly CommandDescription[], version: string, output: Output): string {
  const width = Math.max(...commands.map(({ name }) => name.length));
  const lines = commands.map(({ name, summary }) => `  ${styled(output, "bold", name.padEnd(width))}  ${summary}`);
  const usage = ["  smtplib COMMAND [OPTIONS]", "  smtplib COMMAND --help", "  smtplib --version"];
  return [
    `smtplib ${version}: probes mail servers, sends messages and runs a test server`,
    "",
    ...usage,
    "",
    ...lines,
    "",
  ].join("\n");
}

function optionGroup(title: string, table: OptionTable, output: Output): string[] {
  const rows = Object.entries(table).map(([name, { value, short, optional, help }]) => {
    const letter = short === undefined ? "" : `-${short}, `;
    const shown = value === undefined ? "" : optional === true ? ` [${value}]` : ` ${value}`;
    return { left: `  ${letter}--${name}${shown}`, help };
  });
  const width = Math.max(...rows.map(({ left }) => left.length));
  return [styled(output, "bold", title), ...rows.map(({ left, help }) => `${left.padEnd(width)}  ${help}`)];
}
