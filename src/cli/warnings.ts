/** What a person should know, on standard error. */
import process from "node:process";
import { type Surroundings, styled } from "./surroundings.ts";

/** Warns of an argument that holds a password, and takes it out of the list of processes where the runtime can. */
export function warnOfExposure(argument: string | undefined, { stderr }: Surroundings): void {
  if (argument === undefined) return;
  // Node writes the title over the arguments.
  process.title = "smtplib";
  const advice = "others can read it in the list of processes; use --password-file or SMTP_PASSWORD";
  stderr.write(`${styled(stderr, "yellow", "warning")}: the password is in ${argument}: ${advice}\n`);
}
