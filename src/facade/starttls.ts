/** `starttls()`: STARTTLS with the options of the instance and of the call. */
import type { TlsOptions } from "../byte-stream.ts";
import type { Session } from "../client/session.ts";
import { startTls as upgrade } from "../client/starttls.ts";
import type { Reply } from "../core/reply.ts";
import { checkTlsOptions, tlsOptions } from "./tls.ts";

/** Upgrades the session, with the call's options on top of the instance's; the exceptions are those of `SMTP.starttls`. */
export async function startTls(session: Session, context: TlsOptions | undefined, tls: unknown): Promise<Reply> {
  const own = tls === undefined ? {} : checkTlsOptions(tls, "tls");
  // Without a session there is no host to verify: that there is none is the error.
  session.requireConnection();
  return upgrade(session, tlsOptions({ ...context, ...own }, "tls", session.host));
}
