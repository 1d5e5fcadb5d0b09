/** Promises that the transports settle from outside, and waiting for one until a signal aborts. */

/** Why nothing more can be read or written: an object, since a reason may be any value, `undefined` included. */
export type Failure = { readonly reason: unknown };

/** The functions that settle a promise. */
export type Resolvers<T> = { resolve(value: T): void; reject(reason: unknown): void };

/** A promise and the functions that settle it. */
export type Deferred<T> = Resolvers<T> & { promise: Promise<T> };

/** Returns a promise to settle from outside. Its rejection may stay unhandled. */
export function deferred<T>(): Deferred<T> {
  let resolvers: Resolvers<T> = { resolve: noop, reject: noop };
  const promise = new Promise<T>((resolve, reject) => {
    resolvers = { resolve, reject };
  });
  promise.catch(noop);
  return { promise, ...resolvers };
}

/**
 * Resolves as `connecting` does, unless the signal aborts first: then calls `giveUp`.
 *
 * @throws the reason of the signal, or what `connecting` rejects with
 */
export async function raceAbort<T>(
  connecting: Promise<T>,
  signal: AbortSignal | undefined,
  giveUp: (reason: unknown) => void,
): Promise<T> {
  const aborted = deferred<never>();
  const onAbort = (): void => {
    giveUp(signal?.reason);
    aborted.reject(signal?.reason);
  };
  signal?.addEventListener("abort", onAbort);
  try {
    return await Promise.race([connecting, aborted.promise]);
  } finally {
    signal?.removeEventListener("abort", onAbort);
  }
}

/** Does nothing: the handler of a rejection that is reported elsewhere. */
export function noop(): void {}
