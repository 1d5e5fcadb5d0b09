/**
 * The pauses of a test server's sessions, which end when the server closes. Node warns about many listeners on one
 * AbortSignal.
 */
export class Pauses {
  readonly #running = new Set<() => void>();
  #ended = false;

  /** True once the server is closed. */
  get ended(): boolean {
    return this.#ended;
  }

  /** Resolves after this number of seconds, or when the server closes; `undefined`: only then. */
  pause(seconds?: number): Promise<void> {
    if (this.#ended) return Promise.resolve();
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        this.#running.delete(done);
        resolve();
      };
      const timer = seconds === undefined ? undefined : setTimeout(done, seconds * 1000);
      this.#running.add(done);
    });
  }

  /** Ends all pauses, and later ones at once. */
  end(): void {
    this.#ended = true;
    for (const done of this.#running) done();
  }
}
