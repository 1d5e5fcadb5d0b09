/** A step that has to end in time. */
import { onAbort } from "../client/abort.ts";
import { holdProcess } from "../client/timer.ts";
import { unlessAborted } from "./unless-aborted.ts";

/** How long a step may take. */
export type Limits = {
  readonly seconds: number;
  /** The error where it takes longer. */
  readonly late: () => Error;
  /** The caller's: aborting it ends the wait. */
  readonly signal?: AbortSignal | undefined;
  /** Whether the wait keeps the process alive. Default: true. */
  readonly hold?: boolean;
};

/**
 * Waits for a step. The step gets a signal that is aborted once nobody waits any more: what it has not begun then, it must
 * not begin.
 * @throws what the step throws, the error `late`, or the reason of the caller's signal
 */
export async function inTime<T>(
  { seconds, late, signal, hold = true }: Limits,
  step: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const given = new AbortController();
  const timer = setTimeout(() => given.abort(late()), seconds * 1000);
  holdProcess(timer, hold);
  const unlink = onAbort(signal, (reason) => given.abort(reason));
  try {
    return await unlessAborted(step(given.signal), given.signal);
  } finally {
    clearTimeout(timer);
    unlink();
  }
}
