/** The pools of a worker, one for each destination. */
import type { Delivery } from "../client/outcome.ts";
import { quoted, wrongType } from "../core/bytes.ts";
import { SMTPServerDisconnected } from "../errors.ts";
import type { DeliveryRequest } from "../facade/delivery.ts";
import type { PoolOptions } from "../pool/options.ts";
import { SMTPPool } from "../pool/pool.ts";
import { answerOf } from "./callbacks.ts";
import { textOf } from "./error-fields.ts";
import { unlessAborted } from "./unless-aborted.ts";

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

/** A pool that is open, and whether it was made here: a pool of the user's own may serve several destinations. */
type Opened = { readonly sender: Sender; readonly isOwn: boolean };

type Entry = { readonly opening: Promise<Opened>; opened: Opened | undefined; users: number };

/** Keeps the pools that are in use, and the latest of the others. */
export class Destinations {
  readonly #connect: Connect;
  readonly #most: number;
  readonly #callbackTimeout: number;
  readonly #closed: AbortController = new AbortController();
  readonly #entries = new Map<string, Entry>();
  /** The user's own pools: `connect` may give each of them again, so that they are closed at the end alone. */
  readonly #given = new Set<Sender>();

  /**
   * @param most - how many pools are kept, unless more are in use
   * @param callbackTimeout - seconds for which `connect` may take
   */
  constructor(connect: Connect, most: number, callbackTimeout = 300) {
    this.#connect = connect;
    this.#most = most;
    this.#callbackTimeout = callbackTimeout;
  }

  /** Runs something with the destination's pool. `signal` ends the wait for the pool. */
  async using<T>(destination: string, signal: AbortSignal, run: (pool: Sender) => Promise<T>): Promise<T> {
    const entry = this.#entry(destination);
    entry.users++;
    try {
      return await run((await unlessAborted(entry.opening, signal)).sender);
    } catch (error) {
      if (isClosed(error)) this.#forget(destination, entry);
      throw isProgramError(error) ? new DestinationError(destination, { cause: error }) : error;
    } finally {
      entry.users--;
      this.#closeOldest();
    }
  }

  /** Closes all pools, after what they have to send; waits for none that is being opened. */
  async close(): Promise<void> {
    this.#closed.abort(new Error("the worker closes"));
    const entries = [...this.#entries.values()];
    this.#entries.clear();
    const own = entries.map(async ({ opened }) => opened && (await closeOwn(opened)));
    await Promise.all([...own, ...[...this.#given].map(close)]);
  }

  #entry(destination: string): Entry {
    const known = this.#entries.get(destination);
    const entry = known ?? this.#newEntry(destination);
    // The latest is last.
    this.#entries.delete(destination);
    this.#entries.set(destination, entry);
    return entry;
  }

  #newEntry(destination: string): Entry {
    const entry: Entry = { opening: this.#open(destination), opened: undefined, users: 0 };
    entry.opening.then(
      (opened) => {
        entry.opened = opened;
      },
      () => this.#forget(destination, entry),
    );
    return entry;
  }

  #forget(destination: string, entry: Entry): void {
    if (this.#entries.get(destination) === entry) this.#entries.delete(destination);
  }

  async #open(destination: string): Promise<Opened> {
    try {
      const connect = () => this.#ask(destination);
      const given: unknown = await answerOf("options.connect", this.#callbackTimeout, connect, this.#closed.signal);
      // An object: what else it may be, such as a URL with credentials, must not be named.
      if (typeof given !== "object" || given === null) {
        throw wrongType("the result of options.connect", "a pool or its options", given);
      }
      if (!isSender(given)) return { sender: new SMTPPool(given), isOwn: true };
      return { sender: given, isOwn: false };
    } catch (cause) {
      throw new DestinationError(destination, { cause });
    }
  }

  /** Calls `connect`, and keeps the pool that it may give, also one that comes too late; closes one after the end. */
  async #ask(destination: string): Promise<unknown> {
    const given = await this.#connect(destination);
    if (isSender(given)) {
      if (this.#closed.signal.aborted) await close(given);
      else this.#given.add(given);
    }
    return given;
  }

  #closeOldest(): void {
    // Those that the user gave stay: `connect` would give another one each time.
    const own = [...this.#entries].filter(([, { opened }]) => opened?.isOwn !== false);
    let tooMany = own.length - this.#most;
    for (const [destination, entry] of own) {
      if (tooMany <= 0) return;
      if (entry.users > 0) continue;
      tooMany--;
      this.#entries.delete(destination);
      entry.opening.then(closeOwn, () => {});
    }
  }
}

async function closeOwn({ sender, isOwn }: Opened): Promise<void> {
  if (isOwn) await close(sender);
}

async function close(sender: Sender): Promise<void> {
  try {
    await sender.close();
  } catch {
    // The messages that it still had to send reject by themselves.
  }
}

/** Whether the pool was closed: it takes no message any more. */
function isClosed(error: unknown): boolean {
  return error instanceof SMTPServerDisconnected && !error.temporary;
}

function isProgramError(error: unknown): boolean {
  return error instanceof TypeError || error instanceof RangeError;
}

function isSender(given: unknown): given is Sender {
  return typeof given === "object" && given !== null && "deliver" in given && typeof given.deliver === "function";
}
