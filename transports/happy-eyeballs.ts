/** Connecting to a host with several addresses, as RFC 8305 sections 4 and 5 describe it; no sockets of its own. */
import { deferred } from "./util.ts";

/** An address of a host, as the resolver returns it: `family` is 4 or 6. */
export type Address = { readonly address: string; readonly family: number };

/** A started attempt to connect. */
export type Attempt<T> = {
  readonly connected: Promise<T>;
  /** Cancels the attempt, and drops the connection if there is one already. */
  cancel(): void;
};

/** Milliseconds after which the next address is tried beside those that have not answered yet (RFC 8305 5). */
const attemptDelay = 250;

/**
 * Connects to the first of the addresses that answers. The next attempt begins when the last one has failed, or has
 * taken 250 ms; attempts that have begun go on until one of them succeeds, and are cancelled then.
 *
 * @throws the reason of the signal; the error of the one address; or an `AggregateError` with those of all, in the
 * order in which they came. It has the `code` of the first.
 */
export function connectToAny<T>(
  addresses: readonly Address[],
  begin: (address: Address) => Attempt<T>,
  signal: AbortSignal | undefined,
): Promise<T> {
  return new Race(interleaved(addresses), begin).run(signal);
}

/** The addresses in the resolver's order, the families in turn, the family of the first one first (RFC 8305 4). */
export function interleaved(addresses: readonly Address[]): Address[] {
  const distinct = [...new Map(addresses.map((one) => [one.address, one])).values()];
  const first = distinct.filter(({ family }) => family === distinct[0]?.family);
  const other = distinct.filter(({ family }) => family !== distinct[0]?.family);
  return Array.from({ length: Math.max(first.length, other.length) }, (_, at) => [first[at], other[at]])
    .flat()
    .filter((one) => one !== undefined);
}

class Race<T> {
  readonly #waiting: Address[];
  readonly #begin: (address: Address) => Attempt<T>;
  readonly #running = new Set<Attempt<T>>();
  readonly #errors: unknown[] = [];
  readonly #result = deferred<T>();
  /** Kept for an abort that comes before the caller has the connection. */
  #winner: Attempt<T> | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #over = false;

  constructor(addresses: Address[], begin: (address: Address) => Attempt<T>) {
    this.#waiting = addresses;
    this.#begin = begin;
  }

  async run(signal: AbortSignal | undefined): Promise<T> {
    signal?.throwIfAborted();
    const abort = (): void => {
      this.#end();
      this.#result.reject(signal?.reason);
    };
    signal?.addEventListener("abort", abort);
    try {
      this.#next();
      const value = await this.#result.promise;
      if (signal?.aborted) {
        this.#winner?.cancel();
        throw signal.reason;
      }
      return value;
    } finally {
      signal?.removeEventListener("abort", abort);
    }
  }

  #next(): void {
    clearTimeout(this.#timer);
    const address = this.#waiting.shift();
    if (address === undefined) {
      if (this.#running.size === 0) this.#result.reject(combined(this.#errors));
      return;
    }
    let attempt: Attempt<T>;
    try {
      attempt = this.#begin(address);
    } catch (error) {
      // Thrown into the timer's callback, it would end the process.
      this.#errors.push(error);
      return this.#next();
    }
    this.#running.add(attempt);
    if (this.#waiting.length > 0) this.#timer = setTimeout(() => this.#next(), attemptDelay);
    attempt.connected.then(
      (value) => this.#succeeded(attempt, value),
      (error) => this.#failed(attempt, error),
    );
  }

  #succeeded(attempt: Attempt<T>, value: T): void {
    // An attempt that connects in the same turn of the event loop as the first one was cancelled already.
    if (this.#over) return;
    this.#running.delete(attempt);
    this.#end();
    this.#winner = attempt;
    this.#result.resolve(value);
  }

  #failed(attempt: Attempt<T>, error: unknown): void {
    if (this.#over) return;
    this.#running.delete(attempt);
    this.#errors.push(error);
    this.#next();
  }

  #end(): void {
    this.#over = true;
    clearTimeout(this.#timer);
    for (const attempt of this.#running) attempt.cancel();
    this.#running.clear();
  }
}

function combined(errors: readonly unknown[]): unknown {
  const [first] = errors;
  if (errors.length === 0) return new Error("the host has no address");
  if (errors.length === 1) return first;
  const text = errors.map((error) => (error instanceof Error ? error.message : String(error))).join("; ");
  const code = first instanceof Error && "code" in first ? { code: first.code } : {};
  return Object.assign(new AggregateError(errors, text), code);
}
