/** Chooses the mechanisms to try, and their order. */
import { cramMd5 } from "./cram-md5.ts";
import { login } from "./login.ts";
import type { AuthorizingCredentials, Mechanism } from "./mechanism.ts";
import { checkMechanismNames } from "./names.ts";
import { oauthbearer, type TokenCredentials, xoauth2 } from "./oauth.ts";
import { plain } from "./plain.ts";
import { scramSha1, scramSha1Plus, scramSha256, scramSha256Plus, scramSha512, scramSha512Plus } from "./scram.ts";

/** The mechanisms for a user and password, strongest first. */
export const passwordMechanisms: ReadonlyMap<string, (credentials: AuthorizingCredentials) => Mechanism> = new Map([
  ["SCRAM-SHA-512-PLUS", scramSha512Plus],
  ["SCRAM-SHA-512", scramSha512],
  ["SCRAM-SHA-256-PLUS", scramSha256Plus],
  ["SCRAM-SHA-256", scramSha256],
  ["SCRAM-SHA-1-PLUS", scramSha1Plus],
  ["SCRAM-SHA-1", scramSha1],
  ["CRAM-MD5", cramMd5],
  ["PLAIN", plain],
  ["LOGIN", login],
]);

/** The mechanisms for a bearer token, the standard one first. */
export const tokenMechanisms: ReadonlyMap<string, (credentials: TokenCredentials) => Mechanism> = new Map([
  ["OAUTHBEARER", oauthbearer],
  ["XOAUTH2", xoauth2],
]);

/**
 * The mechanisms to try, in order and in upper case, each once: those that the server offers, in any case, and that the
 * credentials allow. Empty if none is left.
 *
 * @param offered - the mechanisms in the reply to EHLO.
 * @param available - the supported ones, in upper case, strongest first: `passwordMechanisms.keys()`.
 * @param mechanisms - the caller's choice: restricts and orders them.
 * @param argument - its name in the errors.
 * @throws TypeError if `mechanisms` is not an array of strings. @throws RangeError if a name in it is not available.
 */
export function chooseMechanisms(
  offered: readonly string[],
  available: Iterable<string>,
  mechanisms?: readonly string[] | undefined,
  argument = "mechanisms",
): string[] {
  const known = [...available];
  const offers = new Set(offered.map((name) => name.toUpperCase()));
  const wanted = mechanisms === undefined ? known : checkMechanismNames(mechanisms, known, argument);
  return [...new Set(wanted)].filter((name) => offers.has(name));
}
