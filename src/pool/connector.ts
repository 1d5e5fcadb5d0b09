/** Opens a pool's connections: limits parallel attempts, retries after failures, and rejects the waiting messages. */
import type { Connections } from "./connections.ts";
import { LoginGate } from "./login-gate.ts";
import type { PooledConnection } from "./pooled-connection.ts";
import { Reconnection } from "./reconnection.ts";
import { complaintIn, connectionLossOf, isPermanent } from "./retry.ts";
import type { Throttle } from "./throttle.ts";

/** The parts of the pool that a connector needs. */
export type ConnectorOwner = {
  /** The number of messages that wait for a connection. */
  waiting(): number;
  /** Creates a connection without opening it. */
  newConnection(): PooledConnection;
  /** Called when a connection is established. */
  opened(connection: PooledConnection): void;
  /** The arrival of the oldest waiting message; 0 if before the first failure, `NEVER` if none waits. */
  waitingSince(): number;
  /** Rejects the messages that wait, or only those that arrived by `arrivedBy`. */
  reject(error: unknown, arrivedBy?: number): void;
  /** Sends QUIT on a connection that failed to open, and removes it. */
  quit(connection: PooledConnection): Promise<void>;
  /** Assigns messages and opens connections, as far as possible now. */
  schedule(): void;
  /** Requests a call of `wake()` at this time. */
  wakeAt(time: number): void;
};

/** The other parts of the pool that a connector works with, and its options. */
export type ConnectorSettings = {
  readonly connections: Connections;
  readonly throttle: Throttle;
  /** Whether connections log in. */
  readonly hasLogin: boolean;
  /** Milliseconds. */
  readonly reconnectFor: number;
};

/** This many connections in a row may be lost at their first message before a pause. */
const LOSSES_WITHOUT_PAUSE = 32;

/** Milliseconds for which a server may still count an ended connection. */
const COUNTED_ON = 1_000;

/** Opens connections. */
export class Connector {
  /** Limits the number of connections that log in at the same time. */
  readonly gate: LoginGate;
  readonly #owner: ConnectorOwner;
  readonly #connections: Connections;
  readonly #throttle: Throttle;
  readonly #reconnection: Reconnection;
  readonly #triesOnce: boolean;
  /** Connections lost at their first message since the last delivery. */
  #losses = 0;
  /** True from a connection lost at its first message until a delivery; meanwhile one connection opens at a time. */
  #isSuspect = false;
  /** The server may count ended connections of the pool until this time; set once between two deliveries. */
  #crowdedUntil: number | undefined;

  constructor(owner: ConnectorOwner, { connections, throttle, hasLogin, reconnectFor }: ConnectorSettings) {
    this.#owner = owner;
    this.#connections = connections;
    this.#throttle = throttle;
    this.gate = new LoginGate(hasLogin);
    this.#reconnection = new Reconnection(reconnectFor);
    this.#triesOnce = reconnectFor === 0;
  }

  /** The number of connections that may be opened now, given the state of the others. */
  get room(): number {
    const { connecting, size } = this.#connections;
    const room = Math.min(this.#throttle.limit - size, this.gate.room);
    if (this.#isSuspect) return Math.min(room, 1 - connecting.size - this.#connections.untried);
    return this.#reconnection.isUnderWay ? Math.min(room, 1 - connecting.size) : room;
  }

  /** The earliest time to open them, as of `performance.now()`. */
  get opensAt(): number {
    const { isUnderWay, nextAt } = this.#reconnection;
    if (isUnderWay) return nextAt;
    return Math.max(this.#crowdedUntil ?? 0, this.#throttle.opensAt(this.#connections.size));
  }

  /** False if no connection may be opened now, even if another one closes first. */
  get mayOpen(): boolean {
    return this.gate.room > 0 && this.opensAt <= performance.now();
  }

  /** Restarts `reconnectFor` for a message that arrives when none waited. */
  restart(): void {
    if (this.#reconnection.isUnderWay) this.#reconnection.restart(performance.now());
  }

  /** Opens a connection; resolves when it is established or has failed. */
  async open(): Promise<void> {
    const connection = this.#owner.newConnection();
    this.#connections.set(connection, "connecting");
    this.gate.enter(connection);
    try {
      await connection.open();
      if (connection.end !== undefined) throw connection.end.toError({});
    } catch (error) {
      return this.#failed(connection, error);
    }
    this.gate.established(connection);
    this.#reconnection.opened(performance.now());
    this.#connections.set(connection, "open");
    this.#throttle.opened(this.#connections.open.size);
    this.#owner.opened(connection);
    this.#owner.schedule();
  }

  /**
   * Handles a failure that applies to every other connection: rejects the waiting messages. If connections are open,
   * these send them instead: the server may only limit their number, and those that are logging in may succeed.
   */
  refuse(error: unknown): void {
    const { connecting, usable } = this.#connections;
    if (usable > 0) return this.#throttle.full(usable + connecting.size, performance.now());
    this.drop();
    this.#reconnection.reset();
    this.#owner.reject(error);
  }

  /**
   * Handles a connection lost before its first message was sent: until a delivery, one connection opens at a time. A
   * message is retried once at most, so the first losses need no pause; more of them in a row count as a failure to
   * connect.
   */
  lostUnused(error: unknown): void {
    const { connecting, usable } = this.#connections;
    if (usable > 0 && complaintIn(error) === undefined) return;
    if (usable > 0) return this.#throttle.full(usable + connecting.size, performance.now());
    this.#isSuspect = true;
    if (++this.#losses > LOSSES_WITHOUT_PAUSE || this.#triesOnce) this.#tryAgain(error);
  }

  /** Records a delivery, which proves more than an accepted connection. */
  delivered(): void {
    this.#isSuspect = false;
    this.#losses = 0;
    this.#crowdedUntil = undefined;
    this.#reconnection.reset();
  }

  /** Drops the connections that are being opened. */
  drop(): void {
    for (const connection of [...this.#connections.connecting]) {
      this.#connections.set(connection, "closing");
      connection.drop();
    }
  }

  /** True if connecting has failed since the last delivery. */
  get hasFailed(): boolean {
    return this.#reconnection.hasFailed;
  }

  /** The reason why no connection can be made now; `undefined` if one can. */
  get connectError(): { readonly error: unknown } | undefined {
    return this.#reconnection.isUnderWay ? { error: this.#reconnection.lastError } : undefined;
  }

  /** Rejects messages that waited too long, unless connections begun before the first failure are still opening. */
  wake(now: number): void {
    const { isUnderWay, lastError, since } = this.#reconnection;
    if (!isUnderWay) return;
    const endsAt = this.#endsAt;
    if (now < endsAt) return this.#owner.wakeAt(endsAt);
    for (const { begunAt } of this.#connections.connecting) if (begunAt <= since) return;
    this.#owner.reject(lastError, this.#reconnection.arrivedBy(now));
    if (this.#owner.waiting() === 0) this.#reconnection.reset();
    else this.#owner.wakeAt(this.#endsAt);
  }

  /** The time at which the oldest waiting message is rejected. */
  get #endsAt(): number {
    return this.#reconnection.endsAt(this.#arrivedAt);
  }

  get #arrivedAt(): number {
    return this.#owner.waiting() === 0 ? 0 : this.#owner.waitingSince();
  }

  /** Rejects or retries at once; the connection counts towards the limit until it is closed. */
  async #failed(connection: PooledConnection, error: unknown): Promise<void> {
    const isGivenUp = !this.#connections.connecting.has(connection);
    const refusal = isPermanent(error) && !isGivenUp ? { error } : undefined;
    const isCrowded = !isGivenUp && this.#isCrowded(connection, error);
    this.#connections.set(connection, "closing");
    this.gate.failed(connection, refusal);
    if (refusal !== undefined) this.refuse(error);
    else if (isCrowded) this.#noteComplaint();
    else if (!isGivenUp) this.#tryAgain(error);
    this.#owner.schedule();
    await this.#owner.quit(connection);
  }

  /**
   * With `reconnectFor: 0`, a 421 does not end the single try if the server may have counted another connection of the
   * pool: the next connection opens once it no longer does.
   */
  #isCrowded({ begunAt }: PooledConnection, error: unknown): boolean {
    if (!this.#triesOnce || complaintIn(error) !== "complaint") return false;
    const { leftAt, size } = this.#connections;
    if (size > 1 || begunAt < leftAt + COUNTED_ON) this.#crowdedUntil ??= performance.now() + COUNTED_ON;
    return this.#crowdedUntil !== undefined && begunAt < this.#crowdedUntil;
  }

  #noteComplaint(): void {
    const { connecting, usable } = this.#connections;
    this.#throttle.full(usable + connecting.size, performance.now());
  }

  /** Keeps to the open connections; without any, messages wait for the next try. */
  #tryAgain(error: unknown): void {
    const now = performance.now();
    const { open } = this.#connections;
    const complaint = complaintIn(error);
    if (open.size > 0 || complaint !== undefined) this.#noteComplaint();
    // A connection that sends its last message makes room for another.
    if (open.size > 0) return;
    if (this.#owner.waiting() === 0) return this.#reconnection.reset();
    this.#reconnection.failed(connectionLossOf(error), complaint === "complaint", now, this.#arrivedAt);
    this.wake(now);
  }
}
