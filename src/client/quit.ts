/** QUIT (RFC 5321 4.1.1.10). */
import { Command } from "../core/command.ts";
import { makeReply, type Reply } from "../core/reply.ts";
import { SMTPServerDisconnected } from "../errors.ts";
import type { Connection } from "./connection.ts";
import type { Session } from "./session.ts";
import { overBecause, textOf } from "./session-end.ts";

/**
 * Sends QUIT and ends the session. The server cannot make it reject, so that QUIT in a `finally` hides nothing: the reply
 * is `[-1, why]` where there is none, and where the session is over already.
 * @throws {SMTPServerDisconnected} if there never was a session, unless another call has thrown why; the reason of the
 * session's signal, if that fires meanwhile
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
  // Also a write that does not leave, because the server reads nothing, is bounded by the phase of QUIT.
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
