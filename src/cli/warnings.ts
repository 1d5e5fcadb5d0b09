/** Warnings, on standard error. */
import process from "node:process";
import type { Arguments } from "./arguments.ts";
import { type Surroundings, styled } from "./surroundings.ts";

/** The options of the commands whose values are URLs that may hold a password. */
const URLS = ["server", "proxy", "forward"];

/** The arguments that hold a password, which other users of the machine can read. */
export function exposedArguments(args: Arguments, operand?: string): string[] {
  const options = ["password"].filter((name) => args.has(name));
  const urls = URLS.filter((name) => args.texts(name).some(hasPassword));
  const operands = operand !== undefined && args.operands.some(hasPassword) ? [operand] : [];
  return [...operands, ...[...options, ...urls].map((name) => `--${name}`)];
}

/** Removes the arguments from the list of processes, if the runtime can: Node overwrites them with the title. */
export function hideArguments(exposed: readonly string[]): void {
  if (exposed.length > 0) process.title = "smtplib";
}

/** Warns of arguments that hold a password. */
export function warnOfExposure(args: readonly string[], { stderr }: Surroundings): void {
  const advice = "others can read it in the list of processes; use --password-file or SMTP_PASSWORD";
  for (const argument of args) {
    stderr.write(`${styled(stderr, "yellow", "warning")}: the password is in ${argument}: ${advice}\n`);
  }
}

/** Whether a URL has a password. */
function hasPassword(text: string): boolean {
  return /^[a-z0-9]+:\/\/[^@/?#]*:[^@]+@/i.test(text);
}
