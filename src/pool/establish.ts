/** Turns a connection into a session that may send messages: EHLO, STARTTLS by the policy, and the login. */
import { authenticateWith } from "../client/authenticate-with.ts";
import { helloRefused } from "../client/hello-refused.ts";
import type { Session } from "../client/session.ts";
import { startTls } from "../client/starttls.ts";
import { offers } from "../core/features.ts";
import { SMTPNotSupportedError, SMTPResponseException, SMTPServerDisconnected } from "../errors.ts";
import type { PoolSettings } from "./options.ts";

/**
 * Establishes the session. If an extension is missing because the server refused EHLO or STARTTLS, that refusal is the
 * error and the missing extension its cause: the refusal determines whether to try again.
 * @throws the errors of `starttls()` and `login()`
 */
export async function establish(session: Session, settings: PoolSettings): Promise<void> {
  await session.helloIfNeeded();
  let refusal: SMTPResponseException | undefined;
  try {
    if (session.requireConnection().peer.tls === undefined) refusal = await encrypt(session, settings);
    await authenticateAs(session, settings);
    await session.helloIfNeeded();
  } catch (error) {
    throw whyFailed(error, refusal, session);
  }
}

/** Returns the error, or the refusal of STARTTLS or EHLO that caused it. */
function whyFailed(error: unknown, refusal: SMTPResponseException | undefined, { serverInfo }: Session): unknown {
  // If the server refuses STARTTLS and then closes the connection, the refusal is the reason.
  if (error instanceof SMTPServerDisconnected) return refusal === undefined ? error : causedBy(refusal, error);
  if (!(error instanceof SMTPNotSupportedError)) return error;
  if (error.capability !== "STARTTLS" && error.capability !== "AUTH") return error;
  const { refusedHello } = serverInfo;
  if (refusal !== undefined) return causedBy(refusal, error);
  return refusedHello === undefined ? error : helloRefused(refusedHello.reply, refusedHello.line, undefined, error);
}

function causedBy(refusal: SMTPResponseException, error: unknown): SMTPResponseException {
  refusal.cause ??= error;
  return refusal;
}

/** Names the option, which defaults to "required" with `auth`, and the alternatives. */
const NOT_OFFERED =
  'the server does not offer STARTTLS, and the option starttls is "required", its default with auth; a development ' +
  'server on loopback may be spoken to in clear: starttls: "opportunistic" or "never"';

async function authenticateAs(session: Session, { auth, smtp }: PoolSettings): Promise<void> {
  const context = { session, allowInsecureAuth: smtp.allowInsecureAuth ?? false };
  if (auth !== undefined) await authenticateWith(context, auth.credentials, { mechanisms: auth.mechanisms });
}

/** Encrypts by the policy; returns the refusal that an opportunistic policy tolerates. */
async function encrypt(session: Session, { starttls, tls }: PoolSettings): Promise<SMTPResponseException | undefined> {
  if (tls === undefined) return undefined;
  const opportunistic = starttls === "opportunistic";
  if (!offers(session.serverInfo.features, "STARTTLS")) {
    if (opportunistic) return undefined;
    throw new SMTPNotSupportedError(NOT_OFFERED, { capability: "STARTTLS" });
  }
  try {
    await startTls(session, tls);
    return undefined;
  } catch (error) {
    // The session continues after a refusal, but not after a failed handshake.
    if (!opportunistic || !(error instanceof SMTPResponseException) || error.smtp_code === 421) throw error;
    return error;
  }
}
