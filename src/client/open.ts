/** Establishing a connection: the transport, and what is to happen to the stream first, each within its time. */
import type { ByteStream, Endpoint, Transport } from "../byte-stream.ts";
import { failedLookup, isPermanentCause } from "../core/connect-failure.ts";
import { SMTPConnectError, SMTPTimeoutError, type TimeoutPhase } from "../errors.ts";
import { onAbort } from "./abort.ts";
import { LONGEST_TIMER, type Timeouts } from "./deadline.ts";
import { textOf, timedOut } from "./session-end.ts";

/** What is done to a stream as soon as it is there: implicit TLS. `where` is for its messages. */
export type Upgrade = (
  stream: ByteStream,
  where: string,
  timeouts: Timeouts,
  signal: AbortSignal | undefined,
) => Promise<void>;

/** Where and how to connect. */
export type Target = {
  readonly transport: Transport;
  readonly endpoint: Endpoint;
  readonly sourceAddress: [host: string, port: number] | undefined;
  /** Given for implicit TLS. */
  readonly tls: Upgrade | undefined;
};

/**
 * Connects, and upgrades to TLS where that is implicit.
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

/** Where a connection goes, for a message. */
export function describe(endpoint: Endpoint): string {
  if ("path" in endpoint) return endpoint.path;
  const { host, port } = endpoint;
  return `${host.includes(":") ? `[${host}]` : host}:${port}`;
}

/** What `work` gives, unless the time is over or the signal fires before: `giveUp` is called then. */
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

/** The exception for a connection that could not be made; what the caller did or wanted stays as it is. */
export function explain(error: unknown, signal: AbortSignal | undefined, what: string, advice = ""): unknown {
  if (signal?.aborted && error === signal.reason) return error;
  if (error instanceof SMTPTimeoutError) return error;
  if (error instanceof TypeError || error instanceof RangeError) return error;
  return new SMTPConnectError(-1, `${what}: ${textOf(error)}${advice}`, {
    cause: error,
    temporary: !isPermanentCause(error),
  });
}

/** Providers that block mail ports look like a dead server; say which ports are worth a try. */
function hint(endpoint: Endpoint, error: unknown): string {
  if ("path" in endpoint || ![25, 465, 587, 2525].includes(endpoint.port)) return "";
  // Neither a resolver's answer nor a proxy's has to do with the port. Only a proxy's error says `permanent` here.
  if (failedLookup(error) !== undefined || (error instanceof Error && "permanent" in error)) return "";
  return " (if the host is right, the port may be blocked: submission is on 587 and 465)";
}
