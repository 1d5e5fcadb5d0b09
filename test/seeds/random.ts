/** Random numbers that are the same for the same seed, in as many independent streams as a scenario needs. */

/** One stream of numbers: splitmix32, whose neighbouring seeds have nothing in common. */
export class Random {
  #state: number;

  /** `streams` distinguishes the streams of one seed. */
  constructor(seed: number, ...streams: readonly number[]) {
    this.#state = seed | 0;
    for (const stream of streams) this.#state = this.#next() ^ Math.imul(stream + 1, 0x9e3779b9);
  }

  #next(): number {
    this.#state = (this.#state + 0x9e3779b9) | 0;
    let mixed = this.#state ^ (this.#state >>> 16);
    mixed = Math.imul(mixed, 0x21f0aaad);
    mixed ^= mixed >>> 15;
    mixed = Math.imul(mixed, 0x735a2d97);
    return mixed ^ (mixed >>> 15);
  }

  /** From 0, inclusive, to 1, exclusive. */
  float(): number {
    return (this.#next() >>> 0) / 2 ** 32;
  }

  /** From 0, inclusive, to `below`, exclusive. */
  int(below: number): number {
    return Math.floor(this.float() * below);
  }

  between(least: number, most: number): number {
    return least + this.float() * (most - least);
  }

  chance(probability: number): boolean {
    return this.float() < probability;
  }

  /** One of these. */
  pick<T>(first: T, ...others: readonly T[]): T {
    return others[this.int(others.length + 1) - 1] ?? first;
  }
}
