/** The state of a message in a job of BullMQ, which only the worker that has the job may write. */
import type { BullJob } from "./bullmq-worker.ts";
import type { OutboxMessage } from "./message.ts";
import { type RedisClient, RedisScript } from "./redis-script.ts";
import { ClaimLostError } from "./worker.ts";

/** A worker's lock on a job, which BullMQ renews meanwhile. */
export type Lock = { readonly token: string; readonly milliseconds: number };

/**
 * BullMQ's own `updateData()` asks for no lock: a worker that was frozen, or cut off from Redis, right before it would
 * write over the state of another worker, or over a new message with the same key.
 */
const WRITE = new RedisScript(`
if redis.call("GET", KEYS[2]) ~= ARGV[1] then return 0 end
redis.call("HSET", KEYS[1], "data", ARGV[2])
redis.call("PEXPIRE", KEYS[2], ARGV[3])
return 1`);

/** Whether a job failed, and still has the message that was read: ARGV are its name, its nonce and its redrives. */
const IS_SAME = `
local data = redis.call("HGET", KEYS[1], "data")
if not data or not redis.call("ZSCORE", KEYS[2], ARGV[1]) then return 0 end
local message = cjson.decode(data)
local redrives = type(message.state) == "table" and message.state.redrives or 0
if (message.nonce or "") ~= ARGV[2] or tostring(redrives) ~= ARGV[3] then return 0 end
`;

/** Changes a job that failed. */
const REPLACE = new RedisScript(`${IS_SAME}
redis.call("HSET", KEYS[1], "data", ARGV[4])
return 1`);

/** Removes a job that failed, as BullMQ does with one that has neither parents nor children. */
const REMOVE = new RedisScript(`${IS_SAME}
redis.call("ZREM", KEYS[2], ARGV[1])
redis.call("DEL", KEYS[1], KEYS[1] .. ":logs")
return 1`);

/** Writes the states of a queue's jobs. */
export class BullmqStates {
  readonly #keyOf: ((name: string) => string) | undefined;
  readonly #scripts: () => Promise<RedisClient | undefined>;

  /**
   * @param keyOf - the key of a job in Redis, by its name; undefined where the queue is elsewhere
   * @param scripts - the connection for scripts; undefined where there is none
   */
  constructor(keyOf: ((name: string) => string) | undefined, scripts: () => Promise<RedisClient | undefined>) {
    this.#keyOf = keyOf;
    this.#scripts = scripts;
  }

  /**
   * Writes the state, and renews the lock.
   * @throws {ClaimLostError} if another worker has the job, or it is gone
   */
  async write(job: BullJob, data: object, lock: Lock): Promise<void> {
    const redis = await this.#scripts();
    if (redis === undefined || this.#keyOf === undefined) return await this.#writeApart(job, data, lock);
    const key = this.#keyOf(job.id ?? "");
    const args = [lock.token, JSON.stringify(data), String(lock.milliseconds)];
    if ((await WRITE.run(redis, [key, `${key}:lock`], ...args)) !== 1) throw new ClaimLostError();
    job.data = data;
  }

  /**
   * Writes a state over that of a dead letter.
   * @throws {Error} if it is none any more, or another message by now
   */
  async replaceDead(job: BullJob, before: OutboxMessage, next: OutboxMessage): Promise<void> {
    const isDone = await this.#onDead(REPLACE, before, JSON.stringify(next));
    if (isDone === undefined) return await job.updateData(next);
    if (!isDone) throw new Error(`${before.id} is no dead letter any more`);
    job.data = next;
  }

  /**
   * Removes a dead letter.
   * @throws {Error} if it is none any more, or another message by now
   */
  async removeDead(job: BullJob, message: OutboxMessage): Promise<void> {
    const isDone = await this.#onDead(REMOVE, message);
    if (isDone === undefined) return await job.remove();
    if (!isDone) throw new Error(`${message.id} is no dead letter any more`);
  }

  /** Whether the script has changed the dead letter; undefined if no script can. */
  async #onDead(
    script: RedisScript,
    { id, nonce = "", state }: OutboxMessage,
    ...args: string[]
  ): Promise<boolean | undefined> {
    const redis = await this.#scripts();
    if (redis === undefined || this.#keyOf === undefined) return undefined;
    const keys = [this.#keyOf(id), this.#keyOf("failed")];
    return (await script.run(redis, keys, id, nonce, String(state.redrives), ...args)) === 1;
  }

  /** Where the queue's connection runs no scripts: as near to one step as can be. */
  async #writeApart(job: BullJob, data: object, { token, milliseconds }: Lock): Promise<void> {
    if ((await job.extendLock(token, milliseconds)) !== 1) throw new ClaimLostError();
    await job.updateData(data);
  }
}
