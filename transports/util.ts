/** Promises with their settling functions, and waiting for a promise until a signal aborts. */

/** The reason that ended reading or writing, in an object, since it may be any value, including `undefined`. */
export type Failure = { readonly reason: unknown };

/** The functions that settle a promise. */
export type Resolvers<T> = { resolve(value: T): void; reject(reason: unknown): void };

/** A promise and the functions that settle it. */
export type Deferred<T> = Resolvers<T> & { promise: Promise<T> };

/** Returns a promise with its settling functions. Its rejection may stay unhandled. */
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
 * @throws the reason of the signal, or the rejection of `connecting`
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
