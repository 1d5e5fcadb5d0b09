/**
 * Limits how slowly a server may accept a message. Each write has its own deadline, but a server that accepts every
 * write just in time could hold a large message for weeks. So the writes of a message also share a time limit: as in
 * Postfix, accepted bytes extend it at the minimum rate, up to the limit of one write.
 */
import { SMTPTimeoutError } from "../errors.ts";
import type { Connection } from "./connection.ts";
import { PIECE } from "./content-transfer.ts";
import type { SessionEnd } from "./session-end.ts";

/** Flushes a connection's output for one message; drops the connection if the server is too slow. */
export function pacedFlush(connection: Connection): () => Promise<void> | undefined {
  const { minRate } = connection.settings.limits;
  const most = connection.settings.timeouts().dataBlock;
  if (most === undefined) return () => connection.flush();
  let left = most;
  const earn = (octets: number, waited: number): void => {
    left = Math.max(0, Math.min(most, left - waited + octets / minRate));
  };
  const waitFor = async (blocked: Promise<void>, octets: number): Promise<void> => {
    const began = performance.now();
    // A BDAT chunk is several writes; the first ones extend the limit of the next.
    const allowed = left + Math.max(0, octets - PIECE) / minRate;
    const bound = connection.setDeadline("dataBlock", allowed, tooSlow(minRate));
    await blocked;
    bound.release();
    earn(octets, (performance.now() - began) / 1000);
  };
  return () => {
    const { length } = connection.output;
    const blocked = connection.flush();
    if (blocked !== undefined) return waitFor(blocked, length);
    earn(length, 0);
    return undefined;
  };
}

function tooSlow(minRate: number): SessionEnd {
  const message = `the server takes the message too slowly: less than ${minRate} octets a second`;
  return { toError: (details) => new SMTPTimeoutError("dataBlock", message, details) };
}
