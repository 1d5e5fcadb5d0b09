/** Shows that work grows with the size of its input, not with its square. */
import { expect } from "vitest";

const KIB = 1024;
const SMALL = 64 * KIB;
const TIMES = 16;
/** Sixteen times the input may take this many times as long: 16 is linear, 256 is quadratic. */
const GROWTH = 50;
/** Below this many milliseconds, the compiler and the garbage collector matter more than the algorithm. */
const NOISE = 5;
/** Other threads of the process count as well, so a failure has to occur this often. */
const TRIES = 4;

/**
 * Runs `work` on the results of `make` for `size` bytes and for sixteen times as many, and compares the processor time,
 * which does not depend on the load.
 */
export function expectLinear<T>(make: (size: number) => T, work: (input: T) => void, size: number = SMALL): void {
  const [small, large] = [make(size), make(TIMES * size)];
  let shortest = Number.POSITIVE_INFINITY;
  for (let tries = 0; tries < TRIES && shortest >= GROWTH; tries++) {
    shortest = Math.min(shortest, processorTime(large, work) / Math.max(processorTime(small, work), NOISE));
  }
  expect(shortest, `times as long for ${TIMES} times the input`).toBeLessThan(GROWTH);
}

/** Milliseconds. */
function processorTime<T>(input: T, work: (input: T) => void): number {
  const before = process.cpuUsage();
  work(input);
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}
