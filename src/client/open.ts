/** Opens a connection by the transport, and implicit TLS on it, each within its timeout. */
import type { ByteStream, Endpoint, Transport } from "../byte-stream.ts";
import { failedLookup, isPermanentCause } from "../core/connect-failure.ts";
import { SMTPConnectError, SMTPTimeoutError, type TimeoutPhase } from "../errors.ts";
import { onAbort } from "./abort.ts";
import { LONGEST_TIMER, type Timeouts } from "./deadline.ts";
import { textOf, timedOut } from "./session-end.ts";

/** Upgrades a newly opened stream: implicit TLS. Messages contain `where`. */
export type Upgrade = (
  stream: ByteStream,
  where: string,
  timeouts: Timeouts,
  signal: AbortSignal | undefined,
) => Promise<void>;

/** The server, and how to connect to it. */
export type Target = {
  readonly transport: Transport;
  readonly endpoint: Endpoint;
  readonly sourceAddress: [host: string, port: number] | undefined;
  /** Set for implicit TLS. */
  readonly tls: Upgrade | undefined;
};

/**
 * Connects, and starts TLS if it is implicit.
 * @throws {SMTPConnectError} with `smtp_code` -1 and the reason as `cause`
 * @throws {SMTPTimeoutError} with the phase "connect" or "tls"
 * @throws the signal's reason
 */
export async function openStream(
  target: Target,
  timeouts: Timeouts,
  signal: AbortSignal | undefined,
): Promise<ByteStream> {
  const { transport, endpoint, sourceAddress, tls } = target;
  const where = describe(endpoint);
  const attempt = new AbortController();
  const connect = () => transport(endpoint, { signal: attempt.signal, sourceAddress });
  const giveUp = (reason: unknown, connecting: Promise<ByteStream>): void => {
    attempt.abort(reason);
    connecting.then(
      (late) => late.abort(reason),
      () => {},
    );
  };
  const stream = await within("connect", timeouts.connect, signal, connect, giveUp).catch((error) => {
    throw explain(error, signal, `cannot connect to ${where}`, hint(endpoint, error));
  });
  await tls?.(stream, where, timeouts, signal);
  return stream;
}

/** The server's address as text for a message. */
export function describe(endpoint: Endpoint): string {
  if ("path" in endpoint) return endpoint.path;
  const { host, port } = endpoint;
  return `${host.includes(":") ? `[${host}]` : host}:${port}`;
}

/** Runs `work`. If the time is over or the signal fires before it settles, calls `giveUp` and rejects. */
export async function within<T>(
  phase: TimeoutPhase,
  seconds: number | undefined,
  signal: AbortSignal | undefined,
  work: () => Promise<T>,
  giveUp?: (reason: unknown, working: Promise<T>) => void,
): Promise<T> {
  signal?.throwIfAborted();
  let timer: ReturnType<typeof setTimeout> | undefined;
  let unlink: (() => void) | undefined;
  try {
    return await new Promise((resolve, reject) => {
      const working = work();
      const stop = (reason: unknown): void => {
        giveUp?.(reason, working);
        reject(reason);
      };
      const expire = (): void => stop(timedOut(phase, seconds).toError({}));
      working.then(resolve, reject);
      unlink = onAbort(signal, stop, "library");
      if (seconds !== undefined) timer = setTimeout(expire, Math.min(seconds * 1000, LONGEST_TIMER));
    });
  } finally {
    clearTimeout(timer);
    unlink?.();
  }
}

/** The exception for a failed connection attempt; the caller's own errors and aborts stay unchanged. */
export function explain(error: unknown, signal: AbortSignal | undefined, what: string, advice = ""): unknown {
  if (signal?.aborted && error === signal.reason) return error;
  if (error instanceof SMTPTimeoutError) return error;
  if (error instanceof TypeError || error instanceof RangeError) return error;
  return new SMTPConnectError(-1, `${what}: ${textOf(error)}${advice}`, {
    cause: error,
    temporary: !isPermanentCause(error),
  });
}

/** If a provider blocks mail ports, the server seems unreachable; suggests ports to try. */
function hint(endpoint: Endpoint, error: unknown): string {
  if ("path" in endpoint || ![25, 465, 587, 2525].includes(endpoint.port)) return "";
  // Errors of a resolver or a proxy do not depend on the port. Only a proxy's error has `permanent` here.
  if (failedLookup(error) !== undefined || (error instanceof Error && "permanent" in error)) return "";
  return " (if the host is right, the port may be blocked: submission is on 587 and 465)";
}
