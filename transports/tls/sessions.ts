/** TLS sessions for resumption: only of verified servers, and only with the options that verified them. */
import type { TlsInfo } from "../../src/byte-stream.ts";
import type { CheckedTlsOptions } from "./options.ts";

/** A session that can be resumed, and the certificate that was verified in it. */
export type TlsSession = { readonly ticket: Uint8Array } & Pick<TlsInfo, "fingerprint256" | "certificate" | "chain">;

/** The sessions of one handshake. */
export type Resumption = {
  /** The session to offer to the server. */
  readonly session: TlsSession | undefined;
  /** Keeps a ticket of the server, which it may issue before or after it is verified. */
  issued(ticket: Uint8Array): void;
  /** Notes that the server is verified. */
  verified(info: TlsInfo): void;
  /** Drops the session after a failed handshake, since it may be the reason. */
  failed(): void;
};

/**
 * The sessions for a handshake by these options.
 * @param trust - stands for the options `ca`, `cert`, `key` and `minVersion`; undefined: no resumption
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
    // The chain can only be read while the socket is open; once for each certificate is enough.
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
