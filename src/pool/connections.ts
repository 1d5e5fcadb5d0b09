/** A pool's connections. Each is in one state at a time; all counts derive from the states. */
import type { PooledConnection } from "./pooled-connection.ts";

/** "closing": QUIT is under way, or a connection that failed to open is being closed. */
export type ConnectionState = "connecting" | "open" | "closing";

/** The connections of a pool, from the start of connecting until the reply to QUIT. */
export class Connections {
  /** Open connections without work; the last one was used most recently. */
  readonly idle: PooledConnection[] = [];
  /** The time at which a connection last ended, or began to close, as of `performance.now()`. */
  leftAt: number = Number.NEGATIVE_INFINITY;
  readonly #states: Readonly<Record<ConnectionState, Set<PooledConnection>>> = {
    connecting: new Set(),
    open: new Set(),
    closing: new Set(),
  };

  /** The number of connections in any state. */
  get size(): number {
    const { connecting, open, closing } = this.#states;
    return connecting.size + open.size + closing.size;
  }

  /** Connections that are being opened. */
  get connecting(): ReadonlySet<PooledConnection> {
    return this.#states.connecting;
  }

  /** Open connections, active or idle. */
  get open(): ReadonlySet<PooledConnection> {
    return this.#states.open;
  }

  /** The number of open connections that accept another message. */
  get usable(): number {
    let usable = 0;
    for (const { retired } of this.#states.open) if (!retired) usable++;
    return usable;
  }

  /** The number of open connections whose first message has not yet sent any content. */
  get untried(): number {
    let untried = 0;
    for (const { isUntried } of this.#states.open) if (isUntried) untried++;
    return untried;
  }

  /** Moves a connection to a state from any other; `undefined` removes it. */
  set(connection: PooledConnection, state: ConnectionState | undefined): void {
    this.leaveIdle(connection);
    for (const connections of Object.values(this.#states)) connections.delete(connection);
    if (state !== undefined) this.#states[state].add(connection);
    if (state === undefined || state === "closing") this.leftAt = performance.now();
  }

  /** Removes a connection from the idle ones: it gets work, or is no longer open. */
  leaveIdle(connection: PooledConnection): void {
    const at = this.idle.lastIndexOf(connection);
    if (at >= 0) this.idle.splice(at, 1);
  }

  /** A copy of the list of all connections, so that they may change state during iteration. */
  all(): PooledConnection[] {
    return Object.values(this.#states).flatMap((connections) => [...connections]);
  }
}
