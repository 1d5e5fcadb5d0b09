/** From a connection to a session that may send: EHLO, STARTTLS as the policy has it, and the login. */
import { authenticateWith } from "../client/authenticate-with.ts";
import type { Conversation } from "../client/conversation.ts";
import { startTls } from "../client/starttls.ts";
import { offers } from "../core/features.ts";
import { SMTPNotSupportedError, SMTPResponseException, SMTPServerDisconnected } from "../errors.ts";
import type { PoolSettings } from "./options.ts";

/**
 * Signs on.
 * @throws as `starttls()` and `login()` do
 */
export async function signOn(conversation: Conversation, settings: PoolSettings): Promise<void> {
  await conversation.helloIfNeeded();
  const refusal = conversation.live().peer.tls === undefined ? await encrypt(conversation, settings) : undefined;
  try {
    await authenticateAs(conversation, settings);
    await conversation.helloIfNeeded();
  } catch (error) {
    // A server that refuses STARTTLS and hangs up has said why.
    if (refusal === undefined || !(error instanceof SMTPServerDisconnected)) throw error;
    refusal.cause ??= error;
    throw refusal;
  }
}

/** Names the option, which is "required" by default with `auth`, and its way out. */
const NOT_OFFERED =
  'the server does not offer STARTTLS, and the option starttls is "required", its default with auth; a development ' +
  'server on loopback may be spoken to in clear: starttls: "opportunistic" or "never"';

async function authenticateAs(conversation: Conversation, { auth, smtp }: PoolSettings): Promise<void> {
  const context = { conversation, allowInsecureAuth: smtp.allowInsecureAuth ?? false };
  if (auth !== undefined) await authenticateWith(context, auth.credentials, { mechanisms: auth.mechanisms });
}

/** Encrypts as the policy has it; gives the refusal that an opportunistic policy puts up with. */
async function encrypt(
  conversation: Conversation,
  { starttls, tls }: PoolSettings,
): Promise<SMTPResponseException | undefined> {
  if (tls === undefined) return undefined;
  const opportunistic = starttls === "opportunistic";
  if (!offers(conversation.introduction.features, "STARTTLS")) {
    if (opportunistic) return undefined;
    throw new SMTPNotSupportedError(NOT_OFFERED, { capability: "STARTTLS" });
  }
  try {
    await startTls(conversation, tls);
    return undefined;
  } catch (error) {
    // The server would rather not, and the session goes on. A handshake that failed is another matter.
    if (!opportunistic || !(error instanceof SMTPResponseException) || error.smtp_code === 421) throw error;
    return error;
  }
}
