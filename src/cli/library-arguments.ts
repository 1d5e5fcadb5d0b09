/** The library's own refusals of arguments, told by the name that the argument has on the command line. */
import { UsageError } from "./exit-codes.ts";

/** What the library calls it -> the option. */
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

/** The error as one of usage, where the library names an argument that an option stands for; else the error as it is. */
export function namedByOption(error: unknown): unknown {
  if (!(error instanceof TypeError || error instanceof RangeError)) return error;
  const [, name = "", problem = ""] = /^(?:the option )?([\w.]+)(?:\[\d+\])?:? (.*)$/s.exec(error.message) ?? [];
  const option = OPTIONS.get(name);
  return option === undefined ? error : new UsageError(option, problem);
}
