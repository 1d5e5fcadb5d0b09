/** The table of extensions: adding one is a file beside this one and a line here. */
import { kindOf } from "../bytes.ts";
import { type Features, noFeatures } from "../features.ts";
import { auth } from "./auth.ts";
import { eightBitMime } from "./body.ts";
import { deliverBy } from "./deliverby.ts";
import { dsn } from "./dsn.ts";
import { type Extension, type MailOptions, notOffered, offers, type RcptOptions } from "./extension.ts";
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

/** What a server would say that offers each of them. */
export function allFeatures(): Features {
  const features = noFeatures();
  for (const { keyword } of EXTENSIONS) features[keyword.toLowerCase()] = "";
  return features;
}

/**
 * The parameters of MAIL that typed options become.
 * @throws {TypeError} for an option that no extension knows
 * @throws {RangeError} for a value that its extension forbids
 * @throws {SMTPNotSupportedError} for an option whose extension the server does not offer
 */
export function mailParameters(options: MailOptions, features: Features): readonly string[] {
  checkNames(
    options,
    EXTENSIONS.flatMap((extension) => extension.mailOptions ?? []),
    "MAIL",
  );
  return EXTENSIONS.flatMap((extension) => {
    const asked = extension.mailOptions?.find((name) => isSet(options[name]));
    if (asked === undefined || extension.mail === undefined) return [];
    const parameters = extension.mail(options, features[extension.keyword.toLowerCase()] ?? "");
    if (!offers(features, extension.keyword)) throw notOffered(extension.keyword, `the option ${asked}`);
    return parameters;
  });
}

/**
 * The parameters of RCPT that typed options become.
 * @throws as `mailParameters` does
 */
export function rcptParameters(options: RcptOptions, features: Features): readonly string[] {
  checkNames(
    options,
    EXTENSIONS.flatMap((extension) => extension.rcptOptions ?? []),
    "RCPT",
  );
  return EXTENSIONS.flatMap((extension) => {
    const asked = extension.rcptOptions?.find((name) => isSet(options[name]));
    if (asked === undefined || extension.rcpt === undefined) return [];
    const parameters = extension.rcpt(options);
    if (!offers(features, extension.keyword)) throw notOffered(extension.keyword, `the option ${asked}`);
    return parameters;
  });
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
