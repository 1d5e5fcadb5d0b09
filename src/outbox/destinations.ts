/** The pools of a worker, one for each destination. */
import type { Delivery } from "../client/outcome.ts";
import { quoted } from "../core/bytes.ts";
import type { DeliveryRequest } from "../facade/delivery.ts";
import type { PoolOptions } from "../pool/options.ts";
import { SMTPPool } from "../pool/pool.ts";
import { textOf } from "./error-fields.ts";

/** Delivers messages: an `SMTPPool`, or an object with the same two methods. */
export type Sender = {
  deliver(request: DeliveryRequest): Promise<Delivery>;
  close(): Promise<unknown>;
};

/** Where a destination is: a pool's options, or a pool. */
export type Connect = (destination: string) => PoolOptions | Sender | Promise<PoolOptions | Sender>;

/**
 * The set-up of a destination is wrong: the option `connect` failed or returned neither a pool nor its options, or
 * something that the pool calls has a fault, such as a transport. The message was checked when it was queued, and is tried
 * again.
 */
export class DestinationError extends Error {
  override readonly name: string = "DestinationError";
  readonly destination: string;
  readonly temporary: boolean = true;

  constructor(destination: string, options: ErrorOptions) {
    super(`the destination ${quoted(destination)} cannot be used: ${textOf(options.cause)}`, options);
    this.destination = destination;
  }
}

/** Keeps the pools that are in use, and the latest of the others. */
export class Destinations {
  readonly #connect: Connect;
  readonly #most: number;
  readonly #pools = new Map<string, { readonly pool: Promise<Sender>; users: number }>();

  /** @param most - how many pools are kept, unless more are in use */
  constructor(connect: Connect, most: number) {
    this.#connect = connect;
    this.#most = most;
  }

  /** Runs something with the destination's pool. */
  async using<T>(destination: string, run: (pool: Sender) => Promise<T>): Promise<T> {
    const entry = this.#entry(destination);
    entry.users++;
    try {
      return await run(await entry.pool);
    } catch (error) {
      throw isProgramError(error) ? new DestinationError(destination, { cause: error }) : error;
    } finally {
      entry.users--;
      this.#closeOldest();
    }
  }

  /** Closes all pools, after what they have to send. */
  async close(): Promise<void> {
    const pools = [...this.#pools.values()];
    this.#pools.clear();
    await Promise.all(pools.map(({ pool }) => pool.then((one) => one.close()).catch(() => {})));
  }

  #entry(destination: string): { readonly pool: Promise<Sender>; users: number } {
    const known = this.#pools.get(destination);
    const entry = known ?? { pool: this.#open(destination), users: 0 };
    // The latest is last.
    this.#pools.delete(destination);
    this.#pools.set(destination, entry);
    if (known === undefined) entry.pool.catch(() => this.#pools.delete(destination));
    return entry;
  }

  async #open(destination: string): Promise<Sender> {
    try {
      const given = await this.#connect(destination);
      return isSender(given) ? given : new SMTPPool(given);
    } catch (cause) {
      throw new DestinationError(destination, { cause });
    }
  }

  #closeOldest(): void {
    for (const [destination, { pool, users }] of this.#pools) {
      if (this.#pools.size <= this.#most) return;
      if (users > 0) continue;
      this.#pools.delete(destination);
      pool.then((one) => one.close()).catch(() => {});
    }
  }
}

function isProgramError(error: unknown): boolean {
  return error instanceof TypeError || error instanceof RangeError;
}

function isSender(given: PoolOptions | Sender): given is Sender {
  return "deliver" in given && typeof given.deliver === "function";
}
