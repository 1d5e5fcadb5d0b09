/** Sends QUIT (RFC 5321 4.1.1.10). */
import { Command } from "../core/command.ts";
import { makeReply, type Reply } from "../core/reply.ts";
import { SMTPServerDisconnected } from "../errors.ts";
import type { Connection } from "./connection.ts";
import type { Session } from "./session.ts";
import { overBecause, textOf } from "./session-end.ts";

/**
 * Sends QUIT and ends the session. The server cannot make it reject, so QUIT in a `finally` block hides no error:
 * without a reply, or after the end of the session, the result is `[-1, reason]`.
 * @throws {SMTPServerDisconnected} if there never was a session, unless another call has thrown the reason; the reason
 * of the session's signal, if it fires meanwhile
 */
export async function quit(session: Session): Promise<Reply> {
  const { connection, connectError } = session;
  if (connectError?.thrown === true) return noReply(connectError.error);
  if (connectError) {
    connectError.thrown = true;
    const { error } = connectError;
    throw new SMTPServerDisconnected(`there is no session: ${textOf(error)}`, { cause: error });
  }
  if (connection?.end) return noReply(overBecause(connection.end, undefined));
  const living = session.requireConnection();
  session.quitSent = true;
  try {
    return await sendQuit(living, session.settings.signal);
  } finally {
    session.resetServerInfo();
  }
}

async function sendQuit(connection: Connection, signal: AbortSignal | undefined): Promise<Reply> {
  // The timeout of QUIT also limits a write that blocks because the server does not read.
  const bound = connection.setDeadline("quit", connection.settings.timeouts().quit);
  try {
    return await connection.request(Command.simple("QUIT"));
  } catch (error) {
    if (signal?.aborted && error === signal.reason) throw error;
    return noReply(error);
  } finally {
    bound.release();
    await connection.close();
  }
}

function noReply(why: unknown): Reply {
  return makeReply(-1, [textOf(why)]);
}
