/** `login()` and `auth()` (RFC 4954), loaded on their first call. */
import { type AuthContext, authenticateWith, runExchange, runMechanism } from "../client/authenticate-with.ts";
import { authobjectExchange } from "../client/exchanges.ts";
import type { Reply } from "../core/reply.ts";
import type { PasswordCredentials } from "../sasl/mechanism.ts";
import type { CheckedAuth, CheckedLoginOptions } from "./login-options.ts";

export type { AuthContext } from "../client/authenticate-with.ts";

/** Logs in; throws the errors of `SMTP.login`. */
export async function login(
  context: AuthContext,
  { user, password }: PasswordCredentials,
  options: CheckedLoginOptions,
): Promise<Reply> {
  return authenticateWith(context, { user, password }, options);
}

/** Runs one mechanism; throws the errors of `SMTP.auth`. */
export async function auth(context: AuthContext, { name, authobject, initialResponse }: CheckedAuth): Promise<Reply> {
  if (typeof authobject === "function") {
    return runExchange(context, authobjectExchange(name, authobject, initialResponse));
  }
  // Unlike Python's authobjects, a Mechanism may need the server's extensions.
  await context.session.helloIfNeeded();
  return runMechanism(context, authobject, initialResponse);
}
