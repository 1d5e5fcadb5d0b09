/** `login()` and `auth()`: loaded when one of them is first called (RFC 4954). */
import { type AuthContext, authenticateWith, runExchange, runMechanism } from "../client/authenticate-with.ts";
import { type AuthObject, authobjectExchange } from "../client/exchanges.ts";
import { checkArgument, wrongType } from "../core/bytes.ts";
import type { Reply } from "../core/reply.ts";
import type { Mechanism, PasswordCredentials } from "../sasl/mechanism.ts";
import { checkObject } from "./options.ts";

export type { AuthContext } from "../client/authenticate-with.ts";

/** Options of `auth()`. */
export type AuthOptions = {
  /** Python's: false lets the server ask first. Default: true. */
  initial_response_ok?: boolean | undefined;
};

/** Options of `login()`. */
export type LoginOptions = AuthOptions & {
  /** Restricts and orders the mechanisms. */
  mechanisms?: readonly string[] | undefined;
};

/** Logs in; the exceptions are those of `SMTP.login`. */
export async function login(
  context: AuthContext,
  { user, password }: PasswordCredentials,
  options: LoginOptions,
): Promise<Reply> {
  const initialResponse = initialResponseOf(options);
  return authenticateWith(context, { user, password }, { initialResponse, mechanisms: options.mechanisms });
}

/** Runs one mechanism; the exceptions are those of `SMTP.auth`. */
export async function auth(
  context: AuthContext,
  mechanism: string,
  authobject: AuthObject | Mechanism,
  options: AuthOptions,
): Promise<Reply> {
  const initial = initialResponseOf(options);
  const name = checkMechanismName(mechanism);
  if (typeof authobject === "function") return runExchange(context, authobjectExchange(name, authobject, initial));
  if (typeof authobject?.start !== "function") throw new TypeError("authobject must be a function or a Mechanism");
  if (checkMechanismName(authobject.name).toUpperCase() !== name.toUpperCase()) {
    throw new RangeError(`mechanism is ${name}, but authobject is ${authobject.name}`);
  }
  // Unlike Python's authobjects, a Mechanism may have to know what the server offers.
  await context.session.helloIfNeeded();
  return runMechanism(context, authobject, initial);
}

function initialResponseOf(options: AuthOptions): "allowed" | "never" {
  const { initial_response_ok: initial = true }: AuthOptions = checkObject(options, "options");
  if (typeof initial !== "boolean") throw wrongType("initial_response_ok", "a boolean", initial);
  return initial ? "allowed" : "never";
}

/** The name of a SASL mechanism: one word (RFC 4422 3.1). */
function checkMechanismName(name: unknown): string {
  const text = checkArgument(name, "mechanism");
  if (/^[\w-]+$/.test(text)) return text;
  throw new RangeError(`mechanism must be one word: ${JSON.stringify(text)}`);
}
