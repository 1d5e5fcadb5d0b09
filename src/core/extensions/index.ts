/** The table of extensions, loaded when typed options are first used: adding one is a file beside this one and a line here. */
import { kindOf } from "../bytes.ts";
import { type Features, notOffered, offers } from "../features.ts";
import type { EsmtpParameters } from "../plan.ts";
import { auth } from "./auth.ts";
import { eightBitMime } from "./body.ts";
import { deliverBy } from "./deliverby.ts";
import { dsn } from "./dsn.ts";
import type { Extension, MailOptions, RcptOptions } from "./extension.ts";
import { futureRelease } from "./futurerelease.ts";
import { mtPriority } from "./mt-priority.ts";
import { requireTls } from "./requiretls.ts";
import { size } from "./size.ts";
import { smtpUtf8 } from "./smtputf8.ts";

const EXTENSIONS: readonly Extension[] = [
  size,
  eightBitMime,
  smtpUtf8,
  dsn,
  requireTls,
  deliverBy,
  futureRelease,
  mtPriority,
  auth,
];

/**
 * The parameters of MAIL that typed options become on a server. What no server could be told is refused here and now.
 * @throws {TypeError} for an option that no extension knows
 * @throws {RangeError} for a value that its extension forbids
 * @returns a function that throws {SMTPNotSupportedError} for an option whose extension the server does not offer
 */
export function mailParameters(options: MailOptions): EsmtpParameters {
  return parametersOf(options, "MAIL", (extension) => ({ names: extension.mailOptions, of: extension.mail }));
}

/**
 * The parameters of RCPT that typed options become on a server.
 * @throws as `mailParameters` does
 */
export function rcptParameters(options: RcptOptions): EsmtpParameters {
  return parametersOf(options, "RCPT", (extension) => ({ names: extension.rcptOptions, of: extension.rcpt }));
}

type Part<O> = {
  readonly names: readonly (keyof O & string)[] | undefined;
  readonly of: ((options: O, offered: string) => readonly string[]) | undefined;
};

function parametersOf<O extends object>(
  options: O,
  verb: string,
  part: (extension: Extension) => Part<O>,
): EsmtpParameters {
  checkNames(
    options,
    EXTENSIONS.flatMap((extension) => part(extension).names ?? []),
    verb,
  );
  const on = (given: O, features: Features | undefined): readonly string[] =>
    EXTENSIONS.flatMap((extension) => {
      const { names, of } = part(extension);
      const asked = names?.find((name) => isSet(given[name]));
      if (asked === undefined || of === undefined) return [];
      const parameters = of(given, features?.[extension.keyword.toLowerCase()] ?? "");
      const missing = features !== undefined && !offers(features, extension.keyword);
      if (missing) throw notOffered(extension.keyword, `the option ${asked}`);
      return parameters;
    });
  on(options, undefined);
  // What was checked is what is sent, whatever the caller does to his objects meanwhile.
  const copy = structuredClone(options);
  return (server) => on(copy, server.features);
}

function isSet(value: unknown): boolean {
  return value !== undefined && value !== false;
}

function checkNames(options: object, known: readonly string[], verb: string): void {
  if (typeof options !== "object" || options === null) {
    throw new TypeError(`the options of ${verb} must be an object or an array of strings, not ${kindOf(options)}`);
  }
  const unknown = Object.keys(options).find((name) => !known.includes(name));
  if (unknown !== undefined) throw new TypeError(`${verb} has no option ${JSON.stringify(unknown)}`);
}
