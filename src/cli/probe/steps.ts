/** How long each step of a probe took. */
import type { StepReport } from "./report.ts";

/** Measures steps, one after the other. */
export class Steps {
  readonly #reports: StepReport[] = [];

  /** The steps so far. */
  get reports(): readonly StepReport[] {
    return [...this.#reports];
  }

  /** Runs a step, and notes how long it took, also where it fails. */
  async measure<T>(step: string, task: () => Promise<T>): Promise<T> {
    const begun = performance.now();
    try {
      return await task();
    } finally {
      this.add(step, performance.now() - begun);
    }
  }

  /** Notes a step that was measured elsewhere. */
  add(step: string, milliseconds: number): void {
    this.#reports.push({ step, milliseconds: Math.round(milliseconds * 1000) / 1000 });
  }

  /** The total time of the steps from a given one on. */
  since(index: number): number {
    return this.#reports.slice(index).reduce((sum, { milliseconds }) => sum + milliseconds, 0);
  }

  get count(): number {
    return this.#reports.length;
  }
}
