/** `starttls()`: STARTTLS with the options of the instance and of the call. */
import type { TlsOptions } from "../byte-stream.ts";
import type { Session } from "../client/session.ts";
import { startTls as upgrade } from "../client/starttls.ts";
import type { Reply } from "../core/reply.ts";
import { checkTlsOptions, tlsOptions } from "./tls.ts";

/**
 * Checks the options of a call of `starttls()`.
 * @throws {TypeError} or {RangeError} naming the option
 */
export function checkStartTls(tls: unknown): TlsOptions {
  return tls === undefined ? {} : checkTlsOptions(tls, "tls");
}

/** Upgrades the session; the call's options override the instance's. Throws the errors of `SMTP.starttls`. */
export async function startTls(session: Session, context: TlsOptions | undefined, own: TlsOptions): Promise<Reply> {
  // Without a session there is no host to verify, so this is the error.
  session.requireConnection();
  return upgrade(session, tlsOptions({ ...context, ...own }, "tls", session.host));
}
