/** What tests with faked timers share: which are faked, and waiting in real time. */

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

/** So many milliseconds without an end, on a busy machine too, are a hang. */
const HANGS = 10_000;

/** The timer that runs. */
export const realTimeout: typeof setTimeout = setTimeout;
const realClear: typeof clearTimeout = clearTimeout;

/** Waits for work in real time: fails where it hangs. Gives the error if the work fails. */
export async function inTime<T>(work: Promise<T>): Promise<T | Error> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = realTimeout(() => reject(new Error("it hangs")), HANGS);
  });
  const outcome = await Promise.race([work.catch((error: Error) => error), late]);
  realClear(timer);
  return outcome;
}
