/** `smtplib probe`: reports what a mail server offers and what is wrong with it. */
import { Arguments } from "../arguments.ts";
import { CONNECTION_OPTIONS, connectionOf } from "../connection.ts";
import { credentialsOf, LOGIN_OPTIONS } from "../credentials.ts";
import { type ExitCode, UsageError } from "../exit-codes.ts";
import { COMMON_OPTIONS, type CommandDescription } from "../help.ts";
import type { Surroundings } from "../surroundings.ts";
import { PICTURE_OPTION, TRACE_OPTIONS, Trace } from "../trace.ts";
import { exposedArguments, hideArguments, warnOfExposure } from "../warnings.ts";
import { printedReport } from "./print.ts";
import { probe } from "./probe.ts";

/** The description of the command. */
export const PROBE: CommandDescription = {
  name: "probe",
  summary: "Connects to a mail server and reports its features, its settings and its faults",
  usage: ["probe HOST[:PORT] [OPTIONS]", "probe smtp://HOST[:PORT] | smtps://… | lmtp://… [OPTIONS]"],
  options: {
    Connection: CONNECTION_OPTIONS,
    Login: LOGIN_OPTIONS,
    Output: { json: { help: "print the report as JSON" }, ...TRACE_OPTIONS, ...PICTURE_OPTION, ...COMMON_OPTIONS },
  },
  notes: ["No message is sent. Exit codes: 0 fine, 69 no server, 75 not now, 76 something is wrong, 77 login refused."],
};

/** Runs it. */
export async function runProbe(args: readonly string[], around: Surroundings): Promise<ExitCode> {
  const given = new Arguments(args, Object.values(PROBE.options));
  const [text, ...more] = given.operands;
  if (text === undefined) throw new UsageError("HOST", "is missing");
  if (more[0] !== undefined) throw new UsageError(JSON.stringify(more[0]), "is one argument too many");
  const exposed = exposedArguments(given, "HOST");
  hideArguments(exposed);
  const connection = await connectionOf(given, text, "HOST");
  const credentials = await credentialsOf(given, connection, around);
  warnOfExposure(exposed, around);
  const trace = new Trace(given, around);
  return await trace.during(async () => {
    const report = await probe({
      connection,
      credentials,
      allowInsecureAuth: given.has("allow-insecure-auth"),
      observe: (transport) => trace.observe(transport),
      signal: around.signal,
    });
    const shown = given.has("json") ? `${JSON.stringify(report, null, 2)}\n` : printedReport(report, around.stdout);
    around.stdout.write(shown);
    return report.exitCode;
  });
}
