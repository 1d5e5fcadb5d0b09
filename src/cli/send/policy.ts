/** The TLS policy of a session: the requested one, else TLS required with a login. */
import type { Connection } from "../connection.ts";
import type { TlsMode } from "../target.ts";

/** The mode for a session, as a pool has it. */
export function tlsModeOf({ tls, tlsAsked, endpoint }: Connection, hasLogin: boolean): TlsMode {
  if (tlsAsked || tls === "implicit") return tls;
  if ("path" in endpoint) return "never";
  return hasLogin ? "required" : "opportunistic";
}
