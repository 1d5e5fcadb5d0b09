/** The caller's token function: slow, and failing if the scenario requires it. */

import type { Scenario } from "./scenario.ts";
import { TOKENS } from "./server-login.ts";
import type { VirtualTime } from "./virtual-time.ts";

/** The error of a failing token function. */
export class TokenError extends Error {
  override readonly name = "TokenError";
}

/** A function that returns a stale token first, if the scenario has one, and then good ones. */
export function tokenFunction({ pool, goodAt, server }: Scenario, time: VirtualTime): () => Promise<string> {
  let asked = 0;
  return async () => {
    await time.wait(server.latency[1]);
    if (pool.login === "failing token" && time.now < goodAt) throw new TokenError("no token");
    return TOKENS[asked++ === 0 ? 0 : 1];
  };
}
