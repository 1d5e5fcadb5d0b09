/** The state of a message in a job of BullMQ, which only the worker that has the job may write. */
import type { BullJob } from "./bullmq-worker.ts";
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

  /** Where the queue's connection runs no scripts: as near to one step as can be. */
  async #writeApart(job: BullJob, data: object, { token, milliseconds }: Lock): Promise<void> {
    if ((await job.extendLock(token, milliseconds)) !== 1) throw new ClaimLostError();
    await job.updateData(data);
  }
}
