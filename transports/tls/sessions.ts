/** TLS sessions to resume: of verified servers only, and each under the very options that its server was verified by. */
import type { TlsInfo } from "../../src/byte-stream.ts";
import type { CheckedTlsOptions } from "./options.ts";

/** A session that can be resumed, and what its server showed when it was verified. */
export type TlsSession = { readonly ticket: Uint8Array } & Pick<TlsInfo, "fingerprint256" | "certificate" | "chain">;

/** What one handshake has to do with sessions. */
export type Resumption = {
  /** The session to offer to the server. */
  readonly session: TlsSession | undefined;
  /** The server has issued a ticket, which it may do before or after it is verified. */
  issued(ticket: Uint8Array): void;
  /** The server is verified. */
  verified(info: TlsInfo): void;
  /** The handshake has failed: maybe the session is why. */
  failed(): void;
};

/**
 * The sessions for a handshake by these options.
 * @param trust - stands for the options `ca`, `cert`, `key` and `minVersion`; undefined where nothing is to be resumed
 */
export function resumption(options: CheckedTlsOptions, trust: string | undefined): Resumption {
  const { servername, pins, rejectUnauthorized } = options;
  const id = rejectUnauthorized && trust !== undefined ? `${servername} ${pins?.join() ?? ""} ${trust}` : undefined;
  let ticket: Uint8Array | undefined;
  let info: TlsInfo | undefined;
  const keep = () => {
    if (id === undefined || ticket === undefined || info === undefined) return;
    const { fingerprint256, certificate } = info;
    const before = sessions.get(id);
    // A socket has to be asked for its chain while it is open; once for each certificate is enough.
    const isSame = before !== undefined && before.fingerprint256 === fingerprint256;
    const chain = isSame ? before.chain : info.chain;
    remember(sessions, id, { ticket, fingerprint256, certificate, chain }, 64);
  };
  return {
    session: id === undefined ? undefined : sessions.get(id),
    issued(latest) {
      ticket = latest;
      keep();
    },
    verified(known) {
      info = known;
      keep();
    },
    failed() {
      if (id !== undefined) sessions.delete(id);
    },
  };
}

const sessions = new Map<string, TlsSession>();

/** Keeps the `limit` entries used last. */
export function remember<T>(map: Map<string, T>, key: string, value: T, limit: number): void {
  map.delete(key);
  map.set(key, value);
  for (const oldest of map.keys()) {
    if (map.size <= limit) break;
    map.delete(oldest);
  }
}
