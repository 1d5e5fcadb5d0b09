/** The user's own functions, each with a limit of time: one that never answers must not keep a worker's place for ever. */
import type { BodyStore } from "./body-store.ts";
import { inTime } from "./in-time.ts";

/** A function of the user's did not answer within the option `callbackTimeout`. */
export class CallbackTimeoutError extends Error {
  override readonly name: string = "CallbackTimeoutError";
  /** Another time it may answer. */
  readonly temporary: boolean = true;

  constructor(name: string, seconds: number) {
    super(`${name} did not answer within ${seconds} seconds`);
  }
}

/** Limits the time that a function takes. */
export function timed<Arguments extends readonly unknown[], Result>(
  name: string,
  seconds: number,
  call: (...args: Arguments) => Result | Promise<Result>,
): (...args: Arguments) => Promise<Result> {
  const late = (): Error => new CallbackTimeoutError(name, seconds);
  return (...args) => inTime({ seconds, late }, async () => await call(...args));
}

/** Limits the time that each method of a store takes. */
export function timedBodies(bodies: BodyStore, seconds: number): BodyStore {
  return {
    put: timed("options.bodies.put", seconds, (name: string, body: Uint8Array) => bodies.put(name, body)),
    get: timed("options.bodies.get", seconds, (name: string) => bodies.get(name)),
    delete: timed("options.bodies.delete", seconds, (name: string) => bodies.delete(name)),
  };
}
