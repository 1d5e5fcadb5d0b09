/** How many connections the server can be asked for: fewer when it says that it is too much, and more again with success. */

/** Milliseconds until the next try after a complaint; doubled while they go on, up to the last. */
const SHORTEST_PAUSE = 1_000;
const LONGEST_PAUSE = 60_000;

/** So many messages for each connection have to be delivered before another connection is tried. */
const PROOFS = 10;

/** So many refusals for the time being are a complaint, of which each message that is delivered takes a part back. */
const PATIENCE = 3;
const FORGIVENESS = 0.1;

/** Halves at each complaint and grows by one at a time, as TCP does with its window. */
export class Governor {
  /** How many connections may be open. */
  limit: number;
  readonly #most: number;
  #pause = 0;
  #proofs = 0;
  #refusals = 0;
  #complaint = Number.NEGATIVE_INFINITY;
  /** More than so many connections were refused, and the pause after that; it grows until so many are open again. */
  #fullAt = 0;
  #fullPause = 0;

  constructor(most: number) {
    this.#most = most;
    this.limit = most;
  }

  /** No connection should be opened before this moment; while there are others, not before a later one. */
  opensAt(others: number): number {
    return this.#complaint + (others > 0 ? this.#pause : Math.min(this.#pause, SHORTEST_PAUSE));
  }

  /** The server complained (421) while so many connections were in use. Complaints of one moment are one. */
  complained(inUse: number, now: number): void {
    this.#proofs = 0;
    this.#refusals = 0;
    if (now < this.opensAt(1)) return;
    this.limit = Math.max(1, Math.min(this.limit, Math.floor(inUse / 2)));
    this.#pause = Math.min(LONGEST_PAUSE, Math.max(SHORTEST_PAUSE, this.#pause * 2));
    this.#complaint = now;
  }

  /** The server would not take a message now (450, 451, 454): it may be one recipient's trouble, many are the server's. */
  refused(inUse: number, now: number): void {
    this.#refusals++;
    if (this.#refusals >= PATIENCE) this.complained(inUse, now);
  }

  /** The server takes no more connections than these. What was delivered meanwhile does not shorten the next pause. */
  full(connections: number, now: number): void {
    const isNews = now >= this.opensAt(1);
    this.complained(this.#most * 2, now);
    this.limit = Math.max(1, Math.min(this.limit, connections));
    this.#fullAt = this.limit;
    if (!isNews) return;
    this.#fullPause = Math.min(LONGEST_PAUSE, Math.max(SHORTEST_PAUSE, this.#fullPause * 2));
    this.#pause = Math.max(this.#pause, this.#fullPause);
  }

  /** A connection was opened, and so many are open: more than the server took before show that it takes more now. */
  opened(connections: number): void {
    if (connections > this.#fullAt) this.#fullPause = 0;
  }

  /** A message was delivered. */
  delivered(now: number): void {
    this.#refusals = Math.max(0, this.#refusals - FORGIVENESS);
    if (this.#pause === 0 || now < this.opensAt(1) || ++this.#proofs < this.limit * PROOFS) return;
    this.#proofs = 0;
    this.limit = Math.min(this.#most, this.limit + 1);
    this.#pause = this.limit === this.#most ? 0 : this.#pause / 2;
  }
}
