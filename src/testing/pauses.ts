/** The pauses of a test server's sessions. They end with the server. An AbortSignal would warn of so many listeners. */
export class Pauses {
  readonly #running = new Set<() => void>();
  #ended = false;

  get ended(): boolean {
    return this.#ended;
  }

  /** Resolves after so many seconds, without them never, and at once if the server is closed. */
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

  /** Ends all pauses, and those that would come. */
  end(): void {
    this.#ended = true;
    for (const done of this.#running) done();
  }
}
