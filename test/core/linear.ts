/** Shows that work grows with the size of its input, not with its square. */
import { expect } from "vitest";

const KIB = 1024;
/** Four times the input may take this many times as long: 4 is linear, 16 is quadratic. */
const GROWTH = 10;
/** Below this many milliseconds the clock and the compiler say more than the algorithm. */
const NOISE = 60;

/** Set where the code is instrumented: its times would be those of the instruments. */
const INSTRUMENTED = process.env["MUTATION_TESTS"] !== undefined;

/** Runs `work` on 256 KiB and on 1 MiB of what `make` makes, and compares the times. */
export function expectLinear<T>(make: (size: number) => T, work: (input: T) => void): void {
  if (INSTRUMENTED) return;
  const small = fastest(make(256 * KIB), work);
  const large = fastest(make(1024 * KIB), work);
  expect(large).toBeLessThan(GROWTH * Math.max(small, NOISE));
}

function fastest<T>(input: T, work: (input: T) => void): number {
  const times = [1, 2, 3].map(() => {
    const start = performance.now();
    work(input);
    return performance.now() - start;
  });
  return Math.min(...times);
}
