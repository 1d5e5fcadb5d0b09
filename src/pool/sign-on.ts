/** From a connection to a session that may send: EHLO, STARTTLS as the policy has it, and the login. */
import { authenticateWith } from "../client/authenticate-with.ts";
import type { Conversation } from "../client/conversation.ts";
import { startTls } from "../client/starttls.ts";
import { offers } from "../core/features.ts";
import { SMTPNotSupportedError, SMTPResponseException } from "../errors.ts";
import type { PoolSettings } from "./options.ts";

/**
 * Signs on.
 * @throws as `starttls()` and `login()` do
 */
export async function signOn(conversation: Conversation, settings: PoolSettings): Promise<void> {
  await conversation.helloIfNeeded();
  if (conversation.live().peer.tls === undefined) await encrypt(conversation, settings);
  const { auth, smtp } = settings;
  const context = { conversation, allowInsecureAuth: smtp.allowInsecureAuth ?? false };
  if (auth !== undefined) await authenticateWith(context, auth.credentials, { mechanisms: auth.mechanisms });
  await conversation.helloIfNeeded();
}

/** Names the option, which is "required" by default with `auth`, and its way out. */
const NOT_OFFERED =
  'the server does not offer STARTTLS, and the option starttls is "required", its default with auth; a development ' +
  'server on loopback may be spoken to in clear: starttls: "opportunistic" or "never"';

async function encrypt(conversation: Conversation, { starttls, tls }: PoolSettings): Promise<void> {
  if (tls === undefined) return;
  const opportunistic = starttls === "opportunistic";
  if (!offers(conversation.introduction.features, "STARTTLS")) {
    if (opportunistic) return;
    throw new SMTPNotSupportedError(NOT_OFFERED, { capability: "STARTTLS" });
  }
  try {
    await startTls(conversation, tls);
  } catch (error) {
    // The server would rather not, and the session goes on. A handshake that failed is another matter.
    if (!opportunistic || !(error instanceof SMTPResponseException) || error.smtp_code === 421) throw error;
  }
}
