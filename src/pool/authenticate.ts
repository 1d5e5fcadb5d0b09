/** Logs a new connection of the pool in. */
import type { Conversation } from "../client/conversation.ts";
import { auth, login } from "../facade/login.ts";
import { isMechanism, type PoolAuth } from "./options.ts";

/**
 * Logs in.
 * @throws as `login()` and `auth()` do
 */
export async function authenticate(
  conversation: Conversation,
  given: PoolAuth,
  allowInsecureAuth = false,
): Promise<void> {
  const context = { conversation, allowInsecureAuth };
  if (isMechanism(given)) await auth(context, given.name, given, {});
  else if ("password" in given) await login(context, given, { mechanisms: given.mechanisms });
}
