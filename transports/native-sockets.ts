/** What the transports on sockets share: waiting, giving up, closing, and telling one's own machine. */
import type { ByteStream, ConnectOptions, Endpoint, PeerInfo } from "../src/byte-stream.ts";
import { builtin } from "./node-builtins.ts";

/** How long `close` may take to send what is queued, and a closed socket to wait for the peer's end: milliseconds. */
const closeTimeout = 2_000;
const lingerTimeout = 1_000;

/** Why nothing more can be read or written; an object, as a reason may be anything, undefined too. */
export type Failure = { readonly reason: unknown };

/** The functions that settle a promise. */
export type Settle<T> = { resolve(value: T): void; reject(reason: unknown): void };

/** A promise and the functions that settle it. */
export type Waiter<T> = Settle<T> & { promise: Promise<T> };

/** A promise to be settled from outside; nobody has to take notice if it rejects. */
export function waiter<T>(): Waiter<T> {
  let settle: Settle<T> = { resolve: ignore, reject: ignore };
  const promise = new Promise<T>((resolve, reject) => {
    settle = { resolve, reject };
  });
  promise.catch(ignore);
  return { promise, ...settle };
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
  const aborted = waiter<never>();
  const onAbort = (): void => {
    giveUp(signal?.reason);
    aborted.reject(signal?.reason);
  };
  signal?.addEventListener("abort", onAbort);
  try {
    return await Promise.race([connecting, aborted.promise]);
  } finally {
    signal?.removeEventListener("abort", onAbort);
  }
}

/**
 * Refuses a local address for a runtime whose own sockets cannot choose it.
 *
 * @throws TypeError if one is asked for.
 */
export function refuseSourceAddress(runtime: string, { sourceAddress }: ConnectOptions): void {
  if (sourceAddress === undefined || (sourceAddress[0] === "" && sourceAddress[1] === 0)) return;
  throw new TypeError(`${runtime} cannot choose a local address: for a sourceAddress use smtplib/transports/node`);
}

/** The two ends of a connection in clear; one to a Unix socket has no addresses and never leaves the machine. */
export function peerInfo(
  endpoint: Endpoint,
  remoteAddress: string | undefined,
  localAddress: string | undefined,
): PeerInfo {
  const loopback = "path" in endpoint || isLoopback(remoteAddress);
  return { remoteAddress, localAddress, loopback, tls: undefined };
}

/** RFC 1122 3.2.1.3 for IPv4, RFC 4291 2.5.3 for IPv6, and the one mapped into the other. */
function isLoopback(address = ""): boolean {
  return address === "::1" || /^(::ffff:)?127\.\d+\.\d+\.\d+$/.test(address);
}

/** Waits until a closing stream has sent all, and says whether it did; one that takes too long is aborted. */
export async function untilSent(sending: Promise<unknown>, stream: Pick<ByteStream, "abort">): Promise<boolean> {
  const timer = setTimeout(() => stream.abort(new Error("closed before all was sent")), closeTimeout);
  try {
    await sending;
    return true;
  } catch {
    return false;
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Releases a closed socket a while later, by when the peer should have ended its side: who learns of that calls what is
 * returned, which releases it at once. Closed with unread bytes it would send RST, which can take what was sent from the
 * peer's hands.
 *
 * The process is not kept alive, and of a socket that is released nothing is kept in memory.
 */
export function linger(socket: { unref?(): unknown }, release: () => void): () => void {
  const { setTimeout, clearTimeout } = builtin("node:timers");
  socket.unref?.();
  const timer = setTimeout(release, lingerTimeout);
  timer.unref();
  return () => {
    clearTimeout(timer);
    release();
  };
}

/** The error for a write that the system refuses without saying why. */
export function brokenPipe(): Error {
  return Object.assign(new Error("the peer takes no more data"), { code: "EPIPE" });
}

/** Does nothing: for what nobody has to take notice of. */
export function ignore(): void {}
