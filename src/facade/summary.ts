/** The fields that `console.log` prints of a session. */
import type { Endpoint, PeerInfo } from "../byte-stream.ts";
import type { Session } from "../client/session.ts";

/** The server, the state of the session, its encryption, and the server's extensions. */
export function sessionSummary(
  { user }: { readonly user: string | undefined },
  session: Session,
  endpoint: Endpoint | undefined,
): object {
  const state = stateOf(session);
  const summary = { ...endpoint, state };
  if (state !== "connected") return user === undefined ? summary : { ...summary, user };
  const features = Object.keys(session.serverInfo.features).map((name) => name.toUpperCase());
  const tls = tlsSummary(session.connection?.peer);
  return { ...summary, tls, ...(user === undefined ? {} : { user }), features };
}

function stateOf({ connecting, connection }: Session): "connecting" | "connected" | "closed" | "not connected" {
  if (connecting) return "connecting";
  if (connection === undefined) return "not connected";
  return connection.end === undefined ? "connected" : "closed";
}

/** False if unencrypted. */
function tlsSummary(peer: PeerInfo | undefined): object | false {
  if (peer?.tls === undefined) return false;
  const { protocol, verified } = peer.tls;
  return { protocol, verified };
}
