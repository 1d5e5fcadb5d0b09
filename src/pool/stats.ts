/** What a pool tells of itself. Types only. */

/** Numbers about a pool, of the moment when they were asked for. */
export type PoolStats = {
  /** Connections that are open and signed on. */
  readonly connections: number;
  /** Connections that are being opened. */
  readonly connecting: number;
  /** Open connections without work. */
  readonly idle: number;
  /** Open connections that are sending, or say QUIT. */
  readonly active: number;
  /** How many connections the pool allows itself: fewer than `maxConnections` after the server complained. */
  readonly limit: number;
  /** Messages that wait, those that are being prepared included. */
  readonly queued: number;
  /** Messages that are being sent. */
  readonly sending: number;
  /** Messages that were delivered so far, to one recipient at least. */
  readonly sent: number;
  /** Messages that were taken and not delivered so far, or maybe not. */
  readonly failed: number;
  /** How often a message went by a second connection because the first was found dead. */
  readonly retried: number;
};
