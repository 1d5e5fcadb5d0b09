/**
 * How fast a server has to take a message. Each write has a deadline of its own, but a server that takes every write
 * just in time could hold a large message for weeks. So the waiting of a message's writes is bounded together as well:
 * as in Postfix, what was taken buys time at the lowest rate that is allowed, and never more than one write may take.
 */
import { SMTPTimeoutError } from "../errors.ts";
import type { Connection } from "./connection.ts";
import { PIECE } from "./content-transfer.ts";
import type { SessionEnd } from "./session-end.ts";

/** Flushes a connection's output, for one message; the connection is dropped when the server has been too slow. */
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
    // A chunk of BDAT is several writes, of which the first ones buy time for the next.
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
