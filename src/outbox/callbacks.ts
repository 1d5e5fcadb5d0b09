/** The user's own functions, each with a limit of time: one that never answers must not keep a worker's place for ever. */
import type { BodyStore } from "./body-store.ts";
import { inTime } from "./in-time.ts";

/** A function that the user gave did not answer within the option `callbackTimeout`. */
export class CallbackTimeoutError extends Error {
  override readonly name: string = "CallbackTimeoutError";
  /** Another time it may answer. */
  readonly temporary: boolean = true;

  constructor(name: string, seconds: number) {
    super(`${name} did not answer within ${seconds} seconds`);
  }
}

/**
 * Calls a function, and waits so many seconds for its answer.
 * @param signal - ends the wait
 * @throws {CallbackTimeoutError} if it takes longer; what it throws; or the reason of the signal
 */
export function answerOf<T>(
  name: string,
  seconds: number,
  call: () => T | Promise<T>,
  signal?: AbortSignal,
): Promise<T> {
  const late = (): Error => new CallbackTimeoutError(name, seconds);
  return inTime({ seconds, late, signal, hold: false }, async () => await call());
}

/** Limits the time that each method of a store takes. */
export function timedBodies(bodies: BodyStore, seconds: number): BodyStore {
  return {
    put: (name, body) => answerOf("options.bodies.put", seconds, () => bodies.put(name, body)),
    get: (name) => answerOf("options.bodies.get", seconds, () => bodies.get(name)),
    delete: (name) => answerOf("options.bodies.delete", seconds, () => bodies.delete(name)),
  };
}
