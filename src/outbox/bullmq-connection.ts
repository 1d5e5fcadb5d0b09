/** The connection of a queue of BullMQ to Redis: whether it is there, and what it said last. */
import { onAbort } from "../client/abort.ts";
import { field, textOf } from "./error-fields.ts";
import { scriptsOf } from "./redis-adapter.ts";
import type { RedisClient } from "./redis-script.ts";

type Backend = { readonly client: unknown; on(event: string, listener: (value: unknown) => void): unknown };

/** The states of a client in which it keeps commands in memory, and sends them when their callers have given up. */
const AWAY: readonly unknown[] = ["connecting", "connect", "close", "reconnecting"];

/** Follows the connection that a queue has. */
export class BullmqConnection {
  readonly #backend: unknown;
  readonly #waiters = new Set<() => void>();
  /** "pending" until BullMQ has its client, which it gives when that was ready once. */
  #client: unknown = "pending";
  #trouble: Error | undefined;

  constructor(backend: unknown) {
    this.#backend = backend;
    if (!isBackend(backend)) return;
    backend.on("error", (error) => {
      this.#trouble = withoutCommand(error);
    });
    backend.on("ready", () => {
      this.#trouble = undefined;
      this.#wake();
    });
    // BullMQ itself says so to a command where there will never be a client.
    void Promise.resolve(backend.client)
      .catch(() => undefined)
      .then((client) => {
        this.#client = client;
        this.#wake();
      });
  }

  /** Why nothing is answered, if that is known. */
  get trouble(): Error | undefined {
    return this.#isAway() ? this.#trouble : undefined;
  }

  /** The connection for scripts, which the store of an outbox runs. */
  get scripts(): RedisClient {
    return {
      evalsha: (...args) => withoutCommands(async () => (await this.#redis()).evalsha(...args)),
      eval: (...args) => withoutCommands(async () => (await this.#redis()).eval(...args)),
    };
  }

  /** The connection for scripts; undefined where it runs none. */
  async scriptsIfAny(): Promise<RedisClient | undefined> {
    const client: unknown = await Reflect.get(Object(this.#backend), "client");
    return scriptsOf(client) && this.scripts;
  }

  /** Waits until a command would be sent, or fail, at once. @throws the signal's reason */
  async ready(signal: AbortSignal): Promise<void> {
    while (this.#isAway()) {
      let unlink = (): void => {};
      let wake = (): void => {};
      try {
        await new Promise<void>((resolve, reject) => {
          wake = resolve;
          this.#waiters.add(wake);
          unlink = onAbort(signal, reject, "library");
        });
      } finally {
        unlink();
        this.#waiters.delete(wake);
      }
    }
  }

  async #redis(): Promise<RedisClient> {
    const found = scriptsOf(await Reflect.get(Object(this.#backend), "client"));
    if (found !== undefined) return found;
    throw new TypeError("the queue's client runs no scripts: set the option store");
  }

  #isAway(): boolean {
    if (!isBackend(this.#backend)) return false;
    if (this.#client === "pending") return true;
    const status = field(this.#client, "status", "string");
    // A cluster stays in "connect".
    return AWAY.includes(status) && !(status === "connect" && field(this.#client, "isCluster", "boolean") === true);
  }

  #wake(): void {
    for (const wake of this.#waiters) wake();
  }
}

const connections = new WeakMap<object, BullmqConnection>();

/** The connection of a queue: several outboxes on one share it, since it listens for as long as the queue lives. */
export function connectionOf(backend: unknown): BullmqConnection {
  if (!isBackend(backend)) return new BullmqConnection(backend);
  const known = connections.get(backend) ?? new BullmqConnection(backend);
  connections.set(backend, known);
  return known;
}

/** Runs a command, whose error does not repeat it: its arguments are whole messages. */
export async function withoutCommands<T>(run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (error) {
    throw field(error, "command", "object") === undefined ? error : withoutCommand(error);
  }
}

/**
 * An error of a client, without the command that those of ioredis carry and some versions of Redis quote: the arguments of
 * AUTH are a password.
 */
export function withoutCommand(error: unknown): Error {
  const text = (textOf(error) ?? "").replace(/,? with args beginning with:.*$/s, "");
  return new Error(text === "" ? (field(error, "code", "string") ?? "the connection failed") : text);
}

function isBackend(value: unknown): value is Backend {
  return (
    typeof value === "object" && value !== null && "client" in value && "on" in value && typeof value.on === "function"
  );
}
