/** Scripts on the clients that a queue of BullMQ may have: ioredis, or BullMQ's adapters over node-redis and Bun. */
import type { RedisClient } from "./redis-script.ts";

const adapted = new WeakMap<object, AdapterScripts>();

/** The scripts of a client, of which each adapter has one set; undefined if it runs none. */
export function scriptsOf(client: unknown): RedisClient | undefined {
  if (isRedis(client)) return client;
  if (!isAdapter(client)) return undefined;
  const scripts = adapted.get(client) ?? new AdapterScripts(client);
  adapted.set(client, scripts);
  return scripts;
}

function isRedis(client: unknown): client is RedisClient {
  return has(client, "evalsha") && has(client, "eval");
}

/** A client of BullMQ over that of node-redis or Bun: scripts are commands with names. */
type Adapter = {
  defineCommand(name: string, script: { readonly numberOfKeys: number; readonly lua: string }): void;
  runCommand(name: string, args: readonly string[]): Promise<unknown>;
};

function isAdapter(client: unknown): client is Adapter {
  return has(client, "defineCommand") && has(client, "runCommand");
}

function has(owner: unknown, method: string): boolean {
  return typeof Reflect.get(Object(owner), method) === "function";
}

/** Runs scripts on an adapter, which sends their hashes by itself. */
class AdapterScripts implements RedisClient {
  readonly #adapter: Adapter;
  /** The names of the scripts that the adapter knows. */
  readonly #names = new Map<string, string>();

  constructor(adapter: Adapter) {
    this.#adapter = adapter;
  }

  /** The caller sends the script instead. */
  evalsha(): Promise<never> {
    return Promise.reject(new Error("NOSCRIPT"));
  }

  eval(lua: string, numberOfKeys: number, ...args: string[]): Promise<unknown> {
    return this.#adapter.runCommand(this.#names.get(lua) ?? this.#define(lua, numberOfKeys), args);
  }

  #define(lua: string, numberOfKeys: number): string {
    const name = `smtplib-${this.#names.size}`;
    this.#adapter.defineCommand(name, { numberOfKeys, lua });
    this.#names.set(lua, name);
    return name;
  }
}
