/** The arguments of `login()` and `auth()`, and their checks, which need no session. */
import type { AuthObject } from "../client/exchanges.ts";
import { checkArgument, wrongType } from "../core/bytes.ts";
import type { Mechanism } from "../sasl/mechanism.ts";
import { checkMechanismNames, PASSWORD_MECHANISMS } from "../sasl/names.ts";
import { checkObject } from "./options.ts";

/** Options of `auth()`. */
export type AuthOptions = {
  /** False: AUTH has no initial response. Default: true. */
  initial_response_ok?: boolean | undefined;
};

/** Options of `login()`. */
export type LoginOptions = AuthOptions & {
  /** Restricts and orders the mechanisms. */
  mechanisms?: readonly string[] | undefined;
};

/** Whether the client may send the first response together with AUTH. */
type Initial = "allowed" | "never";

/** Checked options of `login()`. */
export type CheckedLoginOptions = {
  readonly initialResponse: Initial;
  readonly mechanisms: readonly string[] | undefined;
};

/** Checked arguments of `auth()`, with a name, which an authobject of Python's kind lacks. */
export type CheckedAuth = {
  readonly name: string;
  readonly authobject: AuthObject | Mechanism;
  readonly initialResponse: Initial;
};

/**
 * Checks and copies the options of `login()`.
 * @throws {TypeError} or {RangeError} naming the option
 */
export function checkLoginOptions(options: LoginOptions): CheckedLoginOptions {
  const initialResponse = initialResponseOf(options);
  const { mechanisms } = options;
  if (mechanisms === undefined) return { initialResponse, mechanisms };
  return { initialResponse, mechanisms: checkMechanismNames(mechanisms, PASSWORD_MECHANISMS, "mechanisms") };
}

/**
 * Checks the arguments of `auth()`.
 * @throws {TypeError} or {RangeError} naming the argument
 */
export function checkAuth(mechanism: string, authobject: AuthObject | Mechanism, options: AuthOptions): CheckedAuth {
  const initialResponse = initialResponseOf(options);
  const name = checkMechanismName(mechanism);
  if (typeof authobject === "function") return { name, authobject, initialResponse };
  if (typeof authobject?.start !== "function") throw new TypeError("authobject must be a function or a Mechanism");
  if (checkMechanismName(authobject.name).toUpperCase() !== name.toUpperCase()) {
    throw new RangeError(`mechanism is ${name}, but authobject is ${authobject.name}`);
  }
  return { name, authobject, initialResponse };
}

function initialResponseOf(options: AuthOptions): Initial {
  const { initial_response_ok: initial = true }: AuthOptions = checkObject(options, "options");
  if (typeof initial !== "boolean") throw wrongType("initial_response_ok", "a boolean", initial);
  return initial ? "allowed" : "never";
}

/** Checks the name of a SASL mechanism: one word (RFC 4422 3.1). */
function checkMechanismName(name: unknown): string {
  const text = checkArgument(name, "mechanism");
  if (/^[\w-]+$/.test(text)) return text;
  throw new RangeError(`mechanism must be one word: ${JSON.stringify(text)}`);
}
