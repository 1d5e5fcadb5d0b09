/** The jobs of an outbox on pg-boss: its queue, and the queue of its dead letters. */
import { checkId } from "./checks.ts";
import { field } from "./error-fields.ts";
import { type OutboxMessage, readMessage } from "./message.ts";
import type { QueuedMessage, Twins } from "./outbox.ts";
import { isLive, type PgBoss, type PgBossDatabase, type PgBossFound, within } from "./pg-boss-client.ts";

/** Settings of the jobs, in seconds. */
type Settings = { readonly heartbeat: number; readonly lifetime: number; readonly retention: number };

/** Reads and writes jobs; with `db`, within its transaction. */
export class PgBossJobs {
  readonly queue: string;
  /** The queue of dead letters. */
  readonly dead: string;
  readonly #boss: PgBoss;
  readonly #settings: Settings;

  constructor(boss: PgBoss, queue: string, settings: Settings) {
    this.#boss = boss;
    this.queue = queue;
    this.dead = `${queue}-dead`;
    this.#settings = settings;
  }

  /** Adds messages, and returns those that were there before. */
  async insert(messages: readonly QueuedMessage[], db: PgBossDatabase | undefined): Promise<Twins> {
    const { heartbeat, lifetime, retention } = this.#settings;
    const jobs = messages.map(({ message, from }) => ({
      ...{
        id: message.id,
        data: message,
        startAfter: new Date(from).toISOString(),
        priority: -(message.priority ?? 0),
      },
      // Only a verdict ends a message.
      ...{ retryLimit: 1_000_000, retryDelay: 5, retentionSeconds: Math.ceil(lifetime) + 30 * 86_400 },
      ...{ heartbeatSeconds: heartbeat, expireInSeconds: 86_399 },
      // The key is remembered as long as the job.
      deleteAfterSeconds: Math.max(1, Math.ceil(retention)),
    }));
    const added = await this.#boss.insert(this.queue, jobs, { ...within(db), returnId: true });
    const twins = new Map<string, string | undefined>();
    const isAdded = new Set(added);
    for (const { id } of jobs.filter((job) => !isAdded.has(job.id))) {
      twins.set(id, field((await this.job(this.queue, id, db))?.data, "messageId", "string"));
    }
    return twins;
  }

  /** A key is remembered as long as its message is among the dead letters, like that of a job that BullMQ keeps. */
  async deadTwins(messages: readonly QueuedMessage[], db: PgBossDatabase | undefined): Promise<Twins> {
    const twins = new Map<string, string | undefined>();
    for (const { message } of messages) {
      const letter = await this.job(this.dead, message.id, db);
      if (letter !== undefined)
        twins.set(message.id, field(field(letter.data, "message", "object"), "messageId", "string"));
    }
    return twins;
  }

  /** Hands a message out at once. */
  async wake(id: string): Promise<void> {
    await this.#boss.update(this.queue, undefined, { id, startAfter: new Date().toISOString() });
  }

  /** A message by its name. It is dead unless it is in the queue again, or still. */
  async find(id: string): Promise<{ readonly message: OutboxMessage; readonly isDead: boolean } | undefined> {
    checkId(id);
    if (!UUID.test(id)) return undefined;
    const letter = await this.job(this.dead, id);
    const job = await this.job(this.queue, id);
    if (letter !== undefined && !isLive(job)) {
      return { message: readMessage(field(letter.data, "message", "object")), isDead: true };
    }
    return job && { message: readMessage(job.data), isDead: false };
  }

  /** @throws {Error} if it is none */
  async findDead(id: string): Promise<OutboxMessage> {
    const found = await this.find(id);
    if (found?.isDead) return found.message;
    throw new Error(
      found === undefined ? `there is no dead letter ${id}` : `${id} is no dead letter: it is in the queue, or done`,
    );
  }

  /** @throws {Error} if it is gone: somebody else had the same idea */
  async deleteLetter(id: string, db: PgBossDatabase | undefined): Promise<void> {
    const response = await this.#boss.deleteJob(this.dead, id, within(db));
    if (field(response, "affected", "number") === 0) throw new Error(`there is no dead letter ${id}`);
  }

  /** A job by its name, in whichever state it is. */
  async job(queue: string, id: string, db?: PgBossDatabase): Promise<PgBossFound | undefined> {
    const [job] = await this.#boss.findJobs(queue, { id, ...within(db) });
    return job;
  }
}

/** All names of messages are of this form, and PostgreSQL takes no others. */
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
