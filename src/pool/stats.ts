/** The statistics of a pool. Types only. */

/** A snapshot of a pool's counts. */
export type PoolStats = {
  /** Connections that are established. */
  readonly connections: number;
  /** Connections that are being opened. */
  readonly connecting: number;
  /** Open connections without work. */
  readonly idle: number;
  /** Open connections that are sending or closing. */
  readonly active: number;
  /** The current limit of connections: less than `maxConnections` after the server reported overload. */
  readonly limit: number;
  /** Messages that wait, including those that are being prepared. */
  readonly queued: number;
  /** Messages that are being sent. */
  readonly sending: number;
  /** Messages that were delivered to at least one recipient. */
  readonly sent: number;
  /** Messages that entered the queue and were not delivered, or may not have been. */
  readonly failed: number;
  /** The number of messages sent on a second connection because the first was dead. */
  readonly retried: number;
};
