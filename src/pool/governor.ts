/** How many connections the server can be asked for: fewer when it says that it is too much, and more again with success. */

/** Seconds until the next try after the server asked for less; doubled while it goes on asking, up to the last. */
const SHORTEST_PAUSE = 1;
const LONGEST_PAUSE = 60;

/** So many messages for each connection have to be delivered before another connection is tried. */
const PROOFS = 10;

/** Halves at each complaint and grows by one at a time, as TCP does with its window. */
export class Governor {
  /** How many connections may be open. */
  limit: number;
  readonly #most: number;
  #pause = 0;
  #proofs = 0;
  #opensAt = Number.NEGATIVE_INFINITY;

  constructor(most: number) {
    this.#most = most;
    this.limit = most;
  }

  /** No connection should be opened before this moment. */
  get opensAt(): number {
    return this.#opensAt;
  }

  /** The server complained while so many connections were in use. Complaints of one moment are one. */
  complained(inUse: number, now: number): void {
    this.#proofs = 0;
    if (now < this.#opensAt) return;
    this.limit = Math.max(1, Math.min(this.limit, Math.floor(inUse / 2)));
    this.#pause = Math.min(LONGEST_PAUSE, Math.max(SHORTEST_PAUSE, this.#pause * 2));
    this.#opensAt = now + this.#pause * 1000;
  }

  /** The server took no more connections than these. */
  refused(connections: number, now: number): void {
    this.complained(this.#most * 2, now);
    this.limit = Math.max(1, Math.min(this.limit, connections));
  }

  /** A message was delivered. True if there may be one more connection now. */
  delivered(now: number): boolean {
    if (this.#pause === 0 || now < this.#opensAt || ++this.#proofs < this.limit * PROOFS) return false;
    this.#proofs = 0;
    this.limit = Math.min(this.#most, this.limit + 1);
    if (this.limit === this.#most) this.#pause = 0;
    return true;
  }
}
