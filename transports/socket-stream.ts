/**
 * The parts that all socket streams share: the pending read, queues with back-pressure, the errors that end reading or
 * writing, and closing. Each runtime's stream adds reading, writing and ending of its sockets.
 */
import type { ByteStream, ConnectOptions, Endpoint, PeerInfo } from "../src/byte-stream.ts";
import { builtin } from "./node-builtins.ts";
import { type Deferred, deferred, type Failure, type Resolvers } from "./util.ts";

/** Bytes that a queue may hold before its producer has to wait, and at which it goes on. */
export const HIGH_WATER: number = 256 * 1024;
export const LOW_WATER: number = 64 * 1024;

/** The time for `close` to send queued bytes, in milliseconds. */
const closeTimeout = 2_000;
/** The time that a closed socket waits for the end from the peer, in milliseconds. */
const lingerTimeout = 1_000;

/** Reading: at most one read is pending; then comes the end, or an error. */
export class ReadSide {
  /** True after the end or an error of the socket. */
  ended = false;
  /** The error that follows the received bytes. */
  failure: Failure | undefined;
  #reader: Resolvers<Uint8Array | null> | undefined;

  /** True while a read is pending. */
  get isPending(): boolean {
    return this.#reader !== undefined;
  }

  /** The result of a read that cannot wait for bytes: the error, the end, or a refusal. `undefined`: it can. */
  refusal(isBlocked = false): Promise<Uint8Array | null> | undefined {
    if (this.failure !== undefined) return Promise.reject(this.failure.reason);
    if (this.ended) return Promise.resolve(null);
    if (this.#reader !== undefined || isBlocked) return Promise.reject(new Error("a read is already pending"));
    return undefined;
  }

  /** A read that waits for `receive`, `end` or `fail`. */
  wait(): Promise<Uint8Array | null> {
    return new Promise((resolve, reject) => {
      this.#reader = { resolve, reject };
    });
  }

  /** Passes bytes to the pending read; false if there is none. */
  receive(chunk: Uint8Array): boolean {
    const reader = this.#reader;
    if (reader === undefined) return false;
    this.#reader = undefined;
    reader.resolve(chunk);
    return true;
  }

  /** Ends reading: the pending read gets the error if there is one, else the end. */
  end(): void {
    this.ended = true;
    if (this.failure === undefined) this.#reader?.resolve(null);
    else this.#reader?.reject(this.failure.reason);
    this.#reader = undefined;
  }

  /** Rejects the pending read and later ones; the first failure counts. */
  fail(reason: unknown): Failure {
    this.failure ??= { reason };
    this.#reader?.reject(this.failure.reason);
    this.#reader = undefined;
    return this.failure;
  }
}

/** The socket that a `ReadQueue` holds up. */
type Flow = { pause(): void; resume(): void };

/** Reading from a socket that sends bytes unasked: they queue up, and the socket pauses while many wait. */
export class ReadQueue extends ReadSide {
  /** Bytes received and not read. */
  size = 0;
  readonly #flow: Flow;
  #chunks: Uint8Array[] = [];
  #isPaused = false;

  constructor(flow: Flow) {
    super();
    this.#flow = flow;
  }

  /** Reads; `isBlocked`: the read must not wait, since a TLS handshake reads. */
  read(isBlocked: boolean): Promise<Uint8Array | null> {
    const chunk = this.#chunks.shift();
    if (chunk === undefined) return this.refusal(isBlocked) ?? this.wait();
    this.size -= chunk.length;
    if (this.#isPaused && this.size <= LOW_WATER) this.resume();
    return Promise.resolve(chunk);
  }

  /** Passes bytes to the pending read, or queues them; a stream that is being closed drops them. */
  override receive(chunk: Uint8Array, isClosing = false): boolean {
    if (super.receive(chunk) || isClosing) return true;
    this.#chunks.push(chunk);
    this.size += chunk.length;
    if (!this.#isPaused && this.size >= HIGH_WATER) {
      this.#isPaused = true;
      this.#flow.pause();
    }
    return false;
  }

  /** Drops what is queued; the socket goes on. */
  clear(): void {
    this.#chunks = [];
    this.size = 0;
    if (this.#isPaused) this.resume();
  }

  /** Lets the socket go on. */
  resume(): void {
    this.#isPaused = false;
    this.#flow.resume();
  }
}

/** The state of writing: callers that wait until the queue is low or empty, and the failure that ended it. */
export class WriteSide {
  failure: Failure | undefined;
  #low: Deferred<void> | undefined;
  #empty: Deferred<void> | undefined;

  /** Resolves at the next `drained`. */
  untilLow(): Promise<void> {
    this.#low ??= deferred();
    return this.#low.promise;
  }

  /** Resolves at the next `emptied`. */
  untilEmpty(): Promise<void> {
    this.#empty ??= deferred();
    return this.#empty.promise;
  }

  /** Little is queued. */
  drained(): void {
    this.#low?.resolve();
    this.#low = undefined;
  }

  /** Nothing is queued. */
  emptied(): void {
    this.drained();
    this.#empty?.resolve();
    this.#empty = undefined;
  }

  /** Rejects waiting callers, and later writes. */
  fail(failure: Failure): void {
    this.failure = failure;
    this.#low?.reject(failure.reason);
    this.#low = undefined;
    this.#empty?.reject(failure.reason);
    this.#empty = undefined;
  }
}

/** Writing to a socket that may accept a part of a chunk only: the rest is queued here. */
export class WriteQueue extends WriteSide {
  /** Bytes that the socket has not accepted yet. */
  size = 0;
  readonly #chunks: Uint8Array[] = [];

  /** The chunk to be written next. */
  get first(): Uint8Array | undefined {
    return this.#chunks[0];
  }

  /** Adds a chunk at the end. */
  push(chunk: Uint8Array): void {
    this.#chunks.push(chunk);
    this.size += chunk.length;
  }

  /** Removes this many bytes of the first chunk: the socket has accepted them. */
  accepted(bytes: number): void {
    const [first] = this.#chunks;
    if (first === undefined) return;
    this.size -= bytes;
    if (bytes < first.length) this.#chunks[0] = first.subarray(bytes);
    else this.#chunks.shift();
  }

  /** Drops the queued bytes; rejects waiting and later writes. */
  override fail(failure: Failure): void {
    this.#chunks.length = 0;
    this.size = 0;
    super.fail(failure);
  }
}

/** @throws Error if a stream cannot start TLS now; `unread` is the number of bytes received and not read */
export function checkUpgradable(isSecure: boolean, reading: ReadSide, unread = 0): void {
  if (isSecure) throw new Error("the stream speaks TLS already");
  if (reading.isPending) throw new Error("a read is pending");
  checkAllRead(unread);
}

/** @throws Error if there are unread bytes, which TLS would not authenticate */
export function checkAllRead(unread: number): void {
  if (unread > 0) throw new Error("bytes in clear are unread");
}

/**
 * Refuses a local address for a runtime whose sockets cannot choose it.
 *
 * @throws TypeError if one is given
 */
export function refuseSourceAddress(runtime: string, { sourceAddress }: ConnectOptions): void {
  if (sourceAddress === undefined || (sourceAddress[0] === "" && sourceAddress[1] === 0)) return;
  throw new TypeError(`${runtime} cannot choose a local address: for a sourceAddress use smtplib/transports/node`);
}

/** Both ends of an unencrypted connection; a Unix socket has no addresses and never leaves the machine. */
export function peerInfo(
  endpoint: Endpoint,
  remoteAddress: string | undefined,
  localAddress: string | undefined,
): PeerInfo {
  const loopback = "path" in endpoint || isLoopback(remoteAddress);
  return { remoteAddress, localAddress, loopback, tls: undefined };
}

/** RFC 1122 3.2.1.3 for IPv4, RFC 4291 2.5.3 for IPv6, and IPv4-mapped addresses. */
function isLoopback(address = ""): boolean {
  return address === "::1" || /^(::ffff:)?127\.\d+\.\d+\.\d+$/.test(address);
}

/** Waits until a closing stream has sent everything; aborts it after a timeout. Resolves with whether it was sent. */
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
 * Releases a closed socket after a delay in which the peer should end its side; returns a function that releases it at
 * once. A socket closed with unread bytes would send RST, which can destroy bytes that the peer has not read yet.
 *
 * The timer keeps neither the process alive nor a released socket in memory.
 */
export function closeGracefully(socket: { unref?(): unknown }, release: () => void): () => void {
  const { setTimeout, clearTimeout } = builtin("node:timers");
  socket.unref?.();
  const timer = setTimeout(release, lingerTimeout);
  timer.unref();
  return () => {
    clearTimeout(timer);
    release();
  };
}

/** The error of a write that the system refuses without a reason. */
export function brokenPipe(): Error {
  return Object.assign(new Error("the peer takes no more data"), { code: "EPIPE" });
}
