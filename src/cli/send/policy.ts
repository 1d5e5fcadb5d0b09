/** Which TLS a session must have: what was asked for, else TLS wherever there is a login. */
import type { Connection } from "../connection.ts";
import type { TlsMode } from "../target.ts";

/** The mode for a session, as a pool has it. */
export function tlsModeOf({ tls, tlsAsked, endpoint }: Connection, hasLogin: boolean): TlsMode {
  if (tlsAsked || tls === "implicit") return tls;
  if ("path" in endpoint) return "never";
  return hasLogin ? "required" : "opportunistic";
}
