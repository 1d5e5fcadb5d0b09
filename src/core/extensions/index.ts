/** The table of extensions. A new one is a file in this folder and a row here. */
import { kindOf } from "../bytes.ts";
import { type Features, notOffered, offers } from "../features.ts";
import type { EsmtpParameters, Server } from "../plan.ts";
import { auth } from "./auth.ts";
import { binaryMime } from "./binarymime.ts";
import { chunking } from "./chunking.ts";
import { expn, help, vrfy } from "./commands.ts";
import { deliverBy } from "./deliverby.ts";
import { dsn } from "./dsn.ts";
import { eightBitMime } from "./eightbitmime.ts";
import { enhancedStatusCodes } from "./enhancedstatuscodes.ts";
import type { Extension, MailOptions, Offer, Parameters, RcptOptions } from "./extension.ts";
import { futureRelease } from "./futurerelease.ts";
import { limits } from "./limits.ts";
import { mtPriority } from "./mt-priority.ts";
import { pipelining } from "./pipelining.ts";
import { requireTls } from "./requiretls.ts";
import { rrvs } from "./rrvs.ts";
import { size } from "./size.ts";
import { smtpUtf8 } from "./smtputf8.ts";
import { startTls } from "./starttls.ts";

/** All extensions that this client uses, in the order of their parameters in a command. */
export const EXTENSIONS: readonly Extension[] = [
  size,
  pipelining,
  eightBitMime,
  chunking,
  binaryMime,
  smtpUtf8,
  dsn,
  enhancedStatusCodes,
  startTls,
  requireTls,
  deliverBy,
  futureRelease,
  mtPriority,
  rrvs,
  limits,
  auth,
  vrfy,
  expn,
  help,
];

/** The parsed parameters of a server's keywords: `offerOf(smtp.esmtp_features).futureRelease?.longest`. */
export function offerOf(features: Features): Offer {
  const offers = EXTENSIONS.map(({ keyword, offer }) => {
    const parameters = features[keyword.toLowerCase()];
    return parameters === undefined ? undefined : offer?.(parameters);
  });
  return Object.assign({}, ...offers);
}

/**
 * Converts typed options to parameters of MAIL. Throws at once for values that no server accepts.
 * @throws {TypeError} for an option that no extension has
 * @throws {RangeError} for a value that its extension forbids
 * @returns a function that throws {SMTPNotSupportedError} for an option whose extension the server does not offer
 */
export function mailParameters(options: MailOptions): EsmtpParameters {
  return parametersOf(options, "MAIL", (extension) => extension.mail);
}

/**
 * Converts typed options to parameters of RCPT.
 * @throws the errors of `mailParameters`
 */
export function rcptParameters(options: RcptOptions): EsmtpParameters {
  return parametersOf(options, "RCPT", (extension) => extension.rcpt);
}

function parametersOf<O extends object>(
  options: O,
  verb: string,
  part: (extension: Extension) => Parameters<O> | undefined,
): EsmtpParameters {
  const known = EXTENSIONS.flatMap((extension) => part(extension)?.options ?? []);
  checkNames(options, known, verb);
  const on = (given: O, server: Server | undefined): readonly string[] =>
    EXTENSIONS.flatMap((extension) => {
      const parameters = part(extension);
      const name = parameters?.options.find((option) => isSet(given[option]));
      if (parameters === undefined || name === undefined || parameters.asked?.(given) === false) return [];
      if (server !== undefined && !offers(server.features, extension.keyword))
        throw notOffered(extension.keyword, `the option ${name}`);
      return parameters.of(given, server);
    });
  on(options, undefined);
  // Copied: the caller may change its objects after the check.
  const copy = structuredClone(options);
  return (server) => on(copy, server);
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
