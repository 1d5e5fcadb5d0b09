/** A pool's connections, each of which is in one state at a time: all counts are taken from that. */
import type { Lane } from "./lane.ts";

/** "closing": QUIT is being said, or a connection that could not be opened is being given up. */
export type ConnectionState = "connecting" | "open" | "closing";

/** The connections of a pool, from the first try to connect until QUIT was answered. */
export class Connections {
  /** Those that are open and without work, the one used last at the end. */
  readonly idle: Lane[] = [];
  readonly #states: Readonly<Record<ConnectionState, Set<Lane>>> = {
    connecting: new Set(),
    open: new Set(),
    closing: new Set(),
  };

  /** How many there are, in whatever state. */
  get size(): number {
    const { connecting, open, closing } = this.#states;
    return connecting.size + open.size + closing.size;
  }

  /** Those that are being opened. */
  get connecting(): ReadonlySet<Lane> {
    return this.#states.connecting;
  }

  /** Those that are open, at work or idle. */
  get open(): ReadonlySet<Lane> {
    return this.#states.open;
  }

  /** How many are open and may take another message. */
  get usable(): number {
    let usable = 0;
    for (const { retired } of this.#states.open) if (!retired) usable++;
    return usable;
  }

  /** How many are open and have a first message that has yet to begin with its content. */
  get untried(): number {
    let untried = 0;
    for (const { isUntried } of this.#states.open) if (isUntried) untried++;
    return untried;
  }

  /** Moves a connection to a state, whichever it was in; undefined: it is gone. */
  set(lane: Lane, state: ConnectionState | undefined): void {
    this.leaveIdle(lane);
    for (const lanes of Object.values(this.#states)) lanes.delete(lane);
    if (state !== undefined) this.#states[state].add(lane);
  }

  /** A connection has work, or is no longer open. */
  leaveIdle(lane: Lane): void {
    const at = this.idle.lastIndexOf(lane);
    if (at >= 0) this.idle.splice(at, 1);
  }

  /** Each connection; it may be moved meanwhile. */
  all(): Lane[] {
    return Object.values(this.#states).flatMap((lanes) => [...lanes]);
  }
}
