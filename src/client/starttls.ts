/** Sends STARTTLS (RFC 3207). */
import type { TlsOptions } from "../byte-stream.ts";
import { Command } from "../core/command.ts";
import { offers } from "../core/features.ts";
import type { Reply } from "../core/reply.ts";
import { SMTPNotSupportedError, SMTPResponseException, TlsError } from "../errors.ts";
import type { Connection } from "./connection.ts";
import { missingAfter } from "./hello-refused.ts";
import type { Session } from "./session.ts";
import { aborted, disconnected, type SessionEnd, textOf } from "./session-end.ts";

/** Upgrades to TLS, and resets the server's data from before it; `SMTP.starttls` lists the errors. */
export async function startTls(session: Session, options: TlsOptions & { servername: string }): Promise<Reply> {
  await session.helloIfNeeded();
  const connection = session.requireConnection();
  if (connection.peer.tls !== undefined) throw new SMTPNotSupportedError("the connection is encrypted already");
  if (!offers(session.serverInfo.features, "STARTTLS")) {
    const missing = new SMTPNotSupportedError("STARTTLS extension not supported by server", { capability: "STARTTLS" });
    throw missingAfter(session.serverInfo.refusedHello, missing);
  }
  const reply = await connection.request(Command.simple("STARTTLS"));
  if (reply.code !== 220) throw new SMTPResponseException(reply.code, reply.message, { reply });
  if (connection.dialogue.hasUnreadBytes) {
    const end = disconnected("the server sent clear text behind its answer to STARTTLS, as an attacker would");
    connection.drop(end);
    throw end.toError({});
  }
  session.resetServerInfo();
  await handshake(connection, options);
  return reply;
}

async function handshake(connection: Connection, options: TlsOptions & { servername: string }): Promise<void> {
  const deadline = connection.setDeadline("tls", connection.settings.timeouts().tls);
  try {
    // The end of the session also ends a handshake that never completes.
    await Promise.race([
      connection.stream.startTls(options),
      new Promise<void>((resolve) => connection.onEnd(resolve)),
    ]);
  } catch (error) {
    connection.drop(failed(error));
  }
  deadline.release();
  if (connection.end !== undefined) throw connection.end.toError({});
  connection.dialogue.tlsStarted();
  connection.listen();
}

/** Invalid options, or options that the transport lacks, stay a TypeError or RangeError. */
function failed(error: unknown): SessionEnd {
  if (error instanceof TypeError || error instanceof RangeError) return aborted(error);
  const what = `TLS could not be established: ${textOf(error)}`;
  if (!(error instanceof TlsError) || error.failure !== "not-tls") return disconnected(what, error);
  return disconnected(`${what}; it agreed to STARTTLS: the fault is its own, or of something in between`, error);
}
