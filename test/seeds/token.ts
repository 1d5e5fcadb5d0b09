/** The caller's token function: slow, and failing where the scenario says so. */

import type { Scenario } from "./scenario.ts";
import { TOKENS } from "./server-login.ts";
import type { VirtualTime } from "./virtual-time.ts";

/** What a token function fails with. */
export class TokenError extends Error {
  override readonly name = "TokenError";
}

/** A function that gives a stale token first, if the scenario has one, and then good ones. */
export function tokenFunction({ pool, goodAt, server }: Scenario, time: VirtualTime): () => Promise<string> {
  let asked = 0;
  return async () => {
    await time.wait(server.latency[1]);
    if (pool.login === "failing token" && time.now < goodAt) throw new TokenError("no token");
    return TOKENS[asked++ === 0 ? 0 : 1];
  };
}
