/** Parses the arguments of a command by tables of its options, and reports those that are invalid. */
import { type ParseArgsConfig, parseArgs } from "node:util";
import { UsageError } from "./exit-codes.ts";

/** One option of a command. */
export type OptionRow = {
  /** The placeholder of its value in the help; left out for a flag. */
  readonly value?: string;
  /** It may be given more than once. */
  readonly multiple?: true;
  /** It may be given without its value. */
  readonly optional?: true;
  /** Its value may be empty. */
  readonly empty?: true;
  /** Its value may hold line ends and other control characters. */
  readonly free?: true;
  /** Its one-letter form. */
  readonly short?: string;
  /** A line for the help. */
  readonly help: string;
};

/** Options by their names. */
export type OptionTable = Readonly<Record<string, OptionRow>>;

/** The parsed arguments of a command. */
export class Arguments {
  /** The arguments that are not options. */
  readonly operands: readonly string[];
  readonly #values = new Map<string, string[]>();

  /**
   * Reads arguments by the tables of a command.
   * @throws {UsageError} for an option that is in none of them, a missing or superfluous value, or a repetition
   */
  constructor(args: readonly string[], tables: readonly OptionTable[]) {
    // Without a prototype: "--constructor" is no option.
    const rows: OptionTable = Object.assign(Object.create(null), ...tables);
    const options = parserOptions(rows);
    const { tokens = [], positionals } = parseArgs({
      args: withOptionalValues(args, rows),
      options,
      strict: false,
      allowPositionals: true,
      tokens: true,
    });
    this.operands = positionals;
    for (const token of tokens) {
      if (token.kind !== "option") continue;
      const { name, rawName, value, inlineValue } = token;
      // "--from --to x": the second option is not the value of the first.
      const isOption = inlineValue === false && value !== undefined && /^-(?!\d|$)/.test(value);
      this.#add(name, rawName, isOption ? undefined : value, rows[name]);
    }
  }

  /** Whether an option was given. */
  has(name: string): boolean {
    return this.#values.has(name);
  }

  /** The value of an option, if it was given. */
  text(name: string): string | undefined {
    return this.#values.get(name)?.at(-1);
  }

  /** The values of an option that may be repeated. */
  texts(name: string): readonly string[] {
    return this.#values.get(name) ?? [];
  }

  /**
   * The values of an option that takes lists, divided at commas.
   * @throws {UsageError} if it was given, and holds nothing but commas
   */
  list(name: string): readonly string[] {
    const parts = this.texts(name).flatMap((text) => text.split(","));
    const found = parts.map((part) => part.trim()).filter((part) => part !== "");
    if (found.length === 0 && this.has(name)) throw new UsageError(`--${name}`, "must not be an empty list");
    return found;
  }

  /**
   * The value of an option as a number.
   * @throws {UsageError} if it is not a number, or out of range
   */
  number(
    name: string,
    least: number,
    most: number = Number.MAX_SAFE_INTEGER,
    kind: "whole" | "any" = "whole",
  ): number | undefined {
    const text = this.text(name);
    // Only a value that may be left out can be empty.
    if (text === undefined || text === "") return undefined;
    const number = /^-?\d+(\.\d+)?$/.test(text) ? Number(text) : Number.NaN;
    if (number >= least && number <= most && (kind === "any" || Number.isSafeInteger(number))) return number;
    const range = most === Number.MAX_SAFE_INTEGER ? `of at least ${least}` : `from ${least} to ${most}`;
    throw new UsageError(
      `--${name}`,
      `must be a ${kind === "whole" ? "whole " : ""}number ${range}: ${JSON.stringify(text)}`,
    );
  }

  /**
   * The value of an option that must be one of these.
   * @throws {UsageError} if it is none of them
   */
  choice<T extends string>(name: string, allowed: readonly T[]): T | undefined {
    const text = this.text(name);
    if (text === undefined) return undefined;
    const found = allowed.find((one) => one.toLowerCase() === text.toLowerCase());
    if (found !== undefined) return found;
    throw new UsageError(`--${name}`, `must be ${allowed.join(", ")}: ${JSON.stringify(text)}`);
  }

  /**
   * Refuses options that exclude each other.
   * @throws {UsageError} if more than one of them was given
   */
  atMostOneOf(...names: readonly string[]): void {
    const [first, second] = names.filter((name) => this.has(name));
    if (second !== undefined) throw new UsageError(`--${second}`, `cannot stand beside --${first}`);
  }

  #add(name: string, written: string, value: string | undefined, row: OptionRow | undefined): void {
    if (row === undefined) throw new UsageError(written, "is no option of this command");
    if (row.value === undefined && value !== undefined) throw new UsageError(written, "takes no value");
    const isMissing = value === undefined || (value === "" && row.optional !== true && row.empty !== true);
    if (row.value !== undefined && isMissing) throw new UsageError(written, `needs a value: ${written} ${row.value}`);
    if (row.free !== true && /[\x00-\x1f\x7f]/.test(value ?? "")) {
      throw new UsageError(written, "must not hold line ends or other control characters");
    }
    const before = this.#values.get(name) ?? [];
    if (before.length > 0 && row.multiple !== true) throw new UsageError(written, "is given twice");
    this.#values.set(name, [...before, value ?? ""]);
  }
}

function parserOptions(rows: OptionTable): NonNullable<ParseArgsConfig["options"]> {
  const options: NonNullable<ParseArgsConfig["options"]> = {};
  for (const [name, { value, short }] of Object.entries(rows)) {
    const type = value === undefined ? "boolean" : "string";
    options[name] = short === undefined ? { type } : { type, short };
  }
  return options;
}

/** Writes "--ui" as "--ui=" and "--ui 8080" as "--ui=8080": `parseArgs` knows no value that may be left out. */
function withOptionalValues(args: readonly string[], rows: OptionTable): string[] {
  const written: string[] = [];
  for (let at = 0; at < args.length; at += 1) {
    const arg = args[at] ?? "";
    if (arg === "--") return [...written, ...args.slice(at)];
    const optional = arg.startsWith("--") && rows[arg.slice(2)]?.optional === true;
    const next = args[at + 1] ?? "";
    if (optional && /^\d+$/.test(next)) at += 1;
    written.push(optional ? `${arg}=${/^\d+$/.test(next) ? next : ""}` : arg);
  }
  return written;
}
