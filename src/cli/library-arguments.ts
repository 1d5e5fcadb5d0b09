/** Translates the library's errors about arguments: they name the option of the command line. */
import { UsageError } from "./exit-codes.ts";

/** The library's name of an argument -> the option. */
const OPTIONS: ReadonlyMap<string, string> = new Map([
  ["local_hostname", "--helo"],
  ["context.servername", "--servername"],
  ["source_address", "--source-address"],
  ["timeout", "--timeout"],
  ["ret", "--ret"],
  ["envid", "--envid"],
  ["notify", "--notify"],
  ["orcpt", "--orcpt"],
  ["by", "--by"],
  ["by.seconds", "--by"],
  ["holdFor", "--hold-for"],
  ["holdUntil", "--hold-until"],
  ["mtPriority", "--mt-priority"],
  ["rrvs", "--rrvs"],
  ["auth", "--submitter"],
  ["auth.user", "--user"],
  ["auth.authzid", "--authzid"],
  ["user", "--user"],
  ["authzid", "--authzid"],
]);

/** Returns a usage error if the library's error names an argument that is an option here; else the error itself. */
export function namedByOption(error: unknown): unknown {
  if (!(error instanceof TypeError || error instanceof RangeError)) return error;
  const [, name = "", problem = ""] = /^(?:the option )?([\w.]+)(?:\[\d+\])?:? (.*)$/s.exec(error.message) ?? [];
  const option = OPTIONS.get(name);
  return option === undefined ? error : new UsageError(option, problem);
}
