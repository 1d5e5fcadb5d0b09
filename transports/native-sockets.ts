/** What the transports of Deno and Bun share: waiting, giving up, and telling one's own machine. */
import type { ConnectOptions, PeerInfo } from "../src/byte-stream.ts";

/** Why nothing more can be read or written; an object, as a reason may be anything, undefined too. */
export type Failure = { readonly reason: unknown };

/** A promise and the functions that settle it. */
export type Waiter<T> = { promise: Promise<T>; resolve(value: T): void; reject(reason: unknown): void };

/** A promise to be settled from outside; nobody has to take notice if it rejects. */
export function waiter<T>(): Waiter<T> {
  let resolve: (value: T) => void = ignore;
  let reject: (reason: unknown) => void = ignore;
  const promise = new Promise<T>((onResolve, onReject) => {
    resolve = onResolve;
    reject = onReject;
  });
  promise.catch(ignore);
  return { promise, resolve, reject };
}

/**
 * What `connecting` gives, unless the signal aborts before: then `giveUp` is called.
 *
 * @throws the reason of the signal, or what `connecting` rejects with.
 */
export async function orAborted<T>(
  connecting: Promise<T>,
  signal: AbortSignal | undefined,
  giveUp: (reason: unknown) => void,
): Promise<T> {
  if (signal === undefined) return connecting;
  const aborted = waiter<never>();
  const onAbort = (): void => {
    giveUp(signal.reason);
    aborted.reject(signal.reason);
  };
  signal.addEventListener("abort", onAbort);
  try {
    return await Promise.race([connecting, aborted.promise]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}

/**
 * Refuses a local address for a runtime whose own sockets cannot choose it.
 *
 * @throws TypeError if one is asked for.
 */
export function refuseSourceAddress(runtime: string, sourceAddress: ConnectOptions["sourceAddress"]): void {
  if (sourceAddress === undefined || (sourceAddress[0] === "" && sourceAddress[1] === 0)) return;
  throw new TypeError(
    `${runtime} cannot choose the local address of a connection: for a sourceAddress use smtplib/transports/node`,
  );
}

/** The two ends of a connection in clear; a Unix socket has no addresses and leaves the machine never. */
export function peerInfo(remoteAddress: string | undefined, localAddress: string | undefined): PeerInfo {
  const loopback = remoteAddress === undefined || isLoopback(remoteAddress);
  return { remoteAddress, localAddress, loopback, tls: undefined };
}

/** RFC 1122 3.2.1.3 for IPv4, RFC 4291 2.5.3 for IPv6, and the one mapped into the other. */
function isLoopback(address: string): boolean {
  return address === "::1" || /^(::ffff:)?127\.\d+\.\d+\.\d+$/.test(address);
}

/** The error for a write that the system refuses without saying why. */
export function brokenPipe(): Error {
  return Object.assign(new Error("the connection was lost: the peer takes no more data"), { code: "EPIPE" });
}

function ignore(): void {}
