/** RSET after a transaction that failed (RFC 5321 4.1.1.5). */
import { Command } from "../core/command.ts";
import { isPositive } from "../core/reply.ts";
import type { Connection } from "./connection.ts";
import { disconnected } from "./session-end.ts";

/** Sends RSET. A connection whose transaction cannot be reset is dropped. */
export async function reset(connection: Connection): Promise<void> {
  const reply = await connection.request(Command.simple("RSET")).catch(() => undefined);
  if (reply === undefined || !isPositive(reply.code)) {
    connection.drop(disconnected("the transaction that failed could not be reset"));
  }
}
