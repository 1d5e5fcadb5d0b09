/** A wait that a signal ends. */
import { onAbort } from "../client/abort.ts";

/** Waits for something that knows no signal, until this one is aborted. @throws the signal's reason */
export async function unlessAborted<T>(step: Promise<T>, signal: AbortSignal): Promise<T> {
  let unlink = (): void => {};
  const aborted = new Promise<never>((_, reject) => {
    unlink = onAbort(signal, reject, "library");
  });
  try {
    return await Promise.race([step, aborted]);
  } finally {
    unlink();
  }
}
