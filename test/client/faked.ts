/** Helpers of tests with faked timers: the list of faked functions, and waiting in real time. */

/** All that Vitest can fake, except nextTick, which it refuses in a child process. */
export const FAKED = [
  "setTimeout",
  "clearTimeout",
  "setInterval",
  "clearInterval",
  "setImmediate",
  "clearImmediate",
  "queueMicrotask",
  "performance",
  "Date",
] as const;

/** A wait of this many milliseconds counts as a hang, even on a busy machine. */
const HANGS = 10_000;

/** The real timer. */
export const realTimeout: typeof setTimeout = setTimeout;
const realClear: typeof clearTimeout = clearTimeout;

/** Waits for work in real time; rejects if it hangs. Resolves with the error if the work fails. */
export async function inTime<T>(work: Promise<T>): Promise<T | Error> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = realTimeout(() => reject(new Error("it hangs")), HANGS);
  });
  const outcome = await Promise.race([work.catch((error: Error) => error), late]);
  realClear(timer);
  return outcome;
}
