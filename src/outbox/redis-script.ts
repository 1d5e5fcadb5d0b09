/** Lua scripts in Redis, by their hash, so that each call sends some octets rather than the script. */
import { hex } from "../core/bytes.ts";

/** A client of Redis such as ioredis: the two commands that are used. */
export type RedisClient = {
  evalsha(hash: string, keys: number, ...args: string[]): Promise<unknown>;
  eval(script: string, keys: number, ...args: string[]): Promise<unknown>;
};

/** Milliseconds since 1970, by the server's clock. */
const NOW = `local t = redis.call("TIME")
local now = t[1] * 1000 + math.floor(t[2] / 1000)
`;

/** One script. It is atomic: Redis runs nothing else meanwhile. */
export class RedisScript {
  readonly #text: string;
  #hash: Promise<string> | undefined;

  /** The script finds the server's time, in milliseconds, in the variable `now`. */
  constructor(text: string) {
    this.#text = NOW + text;
  }

  /** Runs the script; the server is sent its text only where it does not know it. */
  async run(client: RedisClient, keys: readonly string[], ...args: string[]): Promise<unknown> {
    this.#hash ??= sha1(this.#text);
    try {
      return await client.evalsha(await this.#hash, keys.length, ...keys, ...args);
    } catch (error) {
      if (!(error instanceof Error) || !error.message.startsWith("NOSCRIPT")) throw error;
      return await client.eval(this.#text, keys.length, ...keys, ...args);
    }
  }
}

async function sha1(text: string): Promise<string> {
  const hash = await crypto.subtle.digest("SHA-1", new TextEncoder().encode(text));
  return hex(new Uint8Array(hash));
}

/** The texts of an array that a script returned; null becomes undefined. */
export function texts(result: unknown): (string | undefined)[] {
  if (!Array.isArray(result)) throw new TypeError("Redis answered a script with something else than an array");
  return result.map((one) => (one === null || one === undefined ? undefined : String(one)));
}
