/** A call that waits for its message's outcome. It is small, because many may wait. */
import type { Delivery } from "./outcome.ts";

/** Receives the outcome of a message, once. */
export type Caller = {
  /** The message was delivered. */
  delivered(outcome: Delivery): void;
  /** The message was not delivered, or the outcome is unknown. */
  failed(error: unknown): void;
};

/** A promise for the value that `read` makes of the outcome. */
export class PendingCall<Result> implements Caller {
  /** Settles with the outcome. */
  readonly promise: Promise<Result>;
  readonly #read: ReadOutcome<Result>;
  #resolve: ((result: Result) => void) | undefined;
  #reject: ((error: unknown) => void) | undefined;

  constructor(read: ReadOutcome<Result>) {
    this.#read = read;
    this.promise = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  delivered(outcome: Delivery): void {
    this.#resolve?.(this.#read(outcome));
  }

  failed(error: unknown): void {
    this.#reject?.(error);
  }
}

/** Converts a message's outcome to the result of a call. */
export type ReadOutcome<Result> = (outcome: Delivery) => Result;
