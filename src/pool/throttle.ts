/** Limits the number of connections: fewer after the server complains of load, more again after successes. */

/** Milliseconds until the next try after a complaint; doubled with each further complaint, up to the longest. */
const SHORTEST_PAUSE = 1_000;
const LONGEST_PAUSE = 60_000;

/** Deliveries per allowed connection before one more connection is tried. */
const DELIVERIES_PER_RAISE = 10;

/** This many temporary refusals count as a complaint; each delivery cancels part of one. */
const REFUSALS_PER_COMPLAINT = 3;
const REFUSALS_FORGIVEN = 0.1;

/** Halves the limit at each complaint and raises it by one at a time, as TCP does with its congestion window. */
export class Throttle {
  /** The maximum number of open connections. */
  limit: number;
  readonly #maximum: number;
  #pause = 0;
  #deliveries = 0;
  #refusals = 0;
  #complainedAt = Number.NEGATIVE_INFINITY;
  /** The server refused more connections than this, and the pause after that; it grows until more are open. */
  #fullAt = 0;
  #fullPause = 0;

  constructor(maximum: number) {
    this.#maximum = maximum;
    this.limit = maximum;
  }

  /** The earliest time to open a connection; with other connections open, the whole pause applies. */
  opensAt(others: number): number {
    return this.#complainedAt + (others > 0 ? this.#pause : Math.min(this.#pause, SHORTEST_PAUSE));
  }

  /** Records a complaint (421) while `inUse` connections were in use. Complaints during one pause count once. */
  complained(inUse: number, now: number): void {
    this.#deliveries = 0;
    this.#refusals = 0;
    if (now < this.opensAt(1)) return;
    this.limit = Math.max(1, Math.min(this.limit, Math.floor(inUse / 2)));
    this.#pause = Math.min(LONGEST_PAUSE, Math.max(SHORTEST_PAUSE, this.#pause * 2));
    this.#complainedAt = now;
  }

  /** Records a temporary refusal (450, 451, 454): one may concern a single recipient, several indicate load. */
  refused(inUse: number, now: number): void {
    this.#refusals++;
    if (this.#refusals >= REFUSALS_PER_COMPLAINT) this.complained(inUse, now);
  }

  /** Records that the server accepts no more than these connections. Deliveries do not shorten the next pause. */
  full(connections: number, now: number): void {
    const isNews = now >= this.opensAt(1);
    this.complained(this.#maximum * 2, now);
    this.limit = Math.max(1, Math.min(this.limit, connections));
    this.#fullAt = this.limit;
    if (!isNews) return;
    this.#fullPause = Math.min(LONGEST_PAUSE, Math.max(SHORTEST_PAUSE, this.#fullPause * 2));
    this.#pause = Math.max(this.#pause, this.#fullPause);
  }

  /** Records that `connections` are open now; more than the former maximum show that the server accepts more. */
  opened(connections: number): void {
    if (connections > this.#fullAt) this.#fullPause = 0;
  }

  /** Records a delivery. */
  delivered(now: number): void {
    this.#refusals = Math.max(0, this.#refusals - REFUSALS_FORGIVEN);
    if (this.#pause === 0 || now < this.opensAt(1)) return;
    if (++this.#deliveries < this.limit * DELIVERIES_PER_RAISE) return;
    this.#deliveries = 0;
    this.limit = Math.min(this.#maximum, this.limit + 1);
    this.#pause = this.limit === this.#maximum ? 0 : this.#pause / 2;
  }
}
