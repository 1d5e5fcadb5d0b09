/** The part of a worker that is the same on each queue: its pools, its attempts and its end. */
import { onAbort } from "../client/abort.ts";
import type { Attempt } from "./attempt.ts";
import { infoOf, publish, runPublished } from "./channels.ts";
import type { Conclusion } from "./conclusion.ts";
import { Destinations } from "./destinations.ts";
import type { OutboxMessage } from "./message.ts";
import type { Outbox } from "./outbox.ts";

/** Options of a worker. */
export type WorkOptions = {
  /** How many messages are under way at a time. Default: 10. */
  concurrency?: number | undefined;
  /** Aborting it closes the worker as `close()` does. */
  signal?: AbortSignal | undefined;
  /**
   * Seconds that `close()` gives to messages past the point of no return, and to a store that is gone. What has not ended
   * then is given up, and the message is held or tried again by its ticket. Default: 60.
   */
  closeTimeout?: number | undefined;
};

/** A worker that runs. */
export type OutboxWorker = AsyncDisposable & {
  /**
   * Takes no more messages, puts back those whose end has not left, waits for the answers to the others, and closes the
   * pools. Each call gives the same promise.
   */
  close(): Promise<void>;
};

/** Seconds until the next attempt for a message whose attempt could not begin, because the store was unreachable. */
export const STORE_GONE = 5;

/** The attempts of a worker. */
export class Attempts {
  readonly destinations: Destinations;
  readonly #outbox: Outbox;
  readonly #wake: (id: string) => Promise<unknown>;
  readonly #running = new Set<Attempt>();
  #stopping = false;
  readonly #abandoned = new AbortController();

  constructor(outbox: Outbox, wake: (id: string) => Promise<unknown>) {
    this.#outbox = outbox;
    this.#wake = wake;
    const { connect, pools, callbackTimeout } = outbox.settings;
    this.destinations = new Destinations(connect, pools, callbackTimeout);
  }

  /** Makes an attempt. @throws what the store throws before anything was sent */
  async run(message: OutboxMessage): Promise<Conclusion> {
    const { destinations } = this;
    const attempt = this.#outbox.attempt(message, { destinations, persist: this.persist, wake: this.#wake });
    this.#running.add(attempt);
    if (this.#stopping) attempt.stop(new WorkerClosedError());
    const info = infoOf(message);
    try {
      const conclusion = await runPublished(info, () => attempt.run());
      const { action, after, error } = conclusion;
      const resolved = message.state.held !== undefined && action === "done";
      publish("smtplib:outbox:end", () => ({ message: info, action, after, error, resolved }));
      await this.#outbox.follow(message, conclusion);
      return conclusion;
    } catch (error) {
      // The store is unreachable: the queue tries the message again.
      publish("smtplib:outbox:end", () => ({
        message: info,
        action: "defer",
        after: STORE_GONE,
        error,
        resolved: false,
      }));
      throw error;
    } finally {
      this.#running.delete(attempt);
    }
  }

  /** Stops what has not passed the point of no return. */
  stop(): void {
    this.#stopping = true;
    for (const attempt of this.#running) attempt.stop(new WorkerClosedError());
  }

  /**
   * Gives up the deliveries that have no answer yet, and tries a step that fails once more only. The tickets tell the
   * next worker what they were for.
   */
  abandon(): void {
    this.#abandoned.abort();
    for (const attempt of this.#running) attempt.abandon(new WorkerClosedError());
  }

  /** Ends the attempts whose sender heeds no signal. */
  leave(): void {
    for (const attempt of this.#running) attempt.leave(new WorkerClosedError());
  }

  /** Repeats a step until the store answers, or the worker is abandoned. */
  readonly persist = async <T>(step: () => Promise<T>): Promise<T> => {
    const { signal } = this.#abandoned;
    for (let pause = 100; ; pause = Math.min(5000, pause * 2)) {
      const isLast = signal.aborted;
      try {
        return await step();
      } catch (error) {
        if (isLast || error instanceof ClaimLostError) throw error;
        await sleep(pause, signal);
      }
    }
  };
}

/** Waits for so many milliseconds, or until the signal is aborted. */
async function sleep(milliseconds: number, signal: AbortSignal): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let unlink = (): void => {};
  await new Promise<void>((resolve) => {
    timer = setTimeout(resolve, milliseconds);
    unlink = onAbort(signal, () => resolve(), "library");
  });
  clearTimeout(timer);
  unlink();
}

/** The queue has given the message to another worker: this one must write nothing over what that one has written. */
export class ClaimLostError extends Error {
  override readonly name: string = "ClaimLostError";

  constructor() {
    super("another worker has this message by now");
  }
}

/** Why an attempt ended that its worker put back. */
export class WorkerClosedError extends Error {
  override readonly name: string = "WorkerClosedError";

  constructor() {
    super("the worker closes, and puts back the message");
  }
}

/** The worker of the queue itself. */
type QueueWorker = {
  /** Fetches nothing more, and resolves when what is under way has ended. */
  close(): Promise<void>;
  /** Drops its connections and timers, whatever is under way. */
  abort(): Promise<void>;
};

/** Seconds that each step of the end takes after `closeTimeout`, in which a worker writes down what it gave up. */
const GRACE = 1;

/** The worker that users see, over one of the queue's and its attempts; `close()` is called by them or by the signal. */
export function outboxWorker(
  worker: QueueWorker,
  attempts: Attempts,
  { signal, closeTimeout = 60 }: WorkOptions,
): OutboxWorker {
  let closed: Promise<void> | undefined;
  const close = (): Promise<void> => {
    signal?.removeEventListener("abort", aborted);
    closed ??= closeWithin(closeTimeout, worker, attempts);
    return closed;
  };
  const aborted = (): void => void close().catch(() => {});
  if (signal?.aborted) aborted();
  else signal?.addEventListener("abort", aborted, { once: true });
  return { close, [Symbol.asyncDispose]: close };
}

/** Closes a worker. What has not ended after `seconds` is given up: a server that is silent, or a store that is gone. */
async function closeWithin(seconds: number, worker: QueueWorker, attempts: Attempts): Promise<void> {
  const end = worker.close().finally(() => attempts.destinations.close());
  attempts.stop();
  if (await endsWithin(seconds, end)) return;
  attempts.abandon();
  if (await endsWithin(GRACE, end)) return;
  attempts.leave();
  if (await endsWithin(GRACE, end)) return;
  await endsWithin(GRACE, Promise.all([worker.abort(), attempts.destinations.close()]));
}

/** Whether it ends in time. @throws what it rejects with in that time */
async function endsWithin(seconds: number, end: Promise<unknown>): Promise<boolean> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<false>((resolve) => {
    timer = setTimeout(() => resolve(false), seconds * 1000);
  });
  try {
    return await Promise.race([end.then(() => true), late]);
  } finally {
    clearTimeout(timer);
  }
}
