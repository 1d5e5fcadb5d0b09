/** Tickets, budgets and the list of held messages in Redis. */
import { checkMethods, checkNames, checkText } from "./checks.ts";
import { type RedisClient, RedisScript, texts } from "./redis-script.ts";
import type { Admission, BudgetStore, HeldMessage, HeldStore, OutboxStore, Request } from "./store.ts";
import { readAnswer, readHeld } from "./stored-values.ts";
import type { Taking, Ticket, TicketAnswer, TicketChange, TicketStore } from "./ticket.ts";

export type { RedisClient } from "./redis-script.ts";

/** Options of `redisStore`. */
export type RedisStoreOptions = {
  /** The prefix of all keys. Default: "smtplib". */
  prefix?: string | undefined;
  /** The queue whose held messages are listed; tickets and budgets are those of all queues. Default: "". */
  queue?: string | undefined;
  /** Seconds for which a ticket is kept at most; 15 days or more, which is longer than any message waits. Default: 30 days. */
  keep?: number | undefined;
};

/**
 * The store of an outbox in Redis. Each ticket is one key and each script names the keys of one slot, so that Redis
 * Cluster can hold it. A ticket that Redis forgets is a message that may arrive twice: use `appendonly yes` and
 * `appendfsync always`, and no eviction (`maxmemory-policy noeviction`).
 * @param client - ioredis, or another client with its `eval` and `evalsha`
 * @throws {TypeError} or {RangeError} naming the argument that is wrong
 */
export function redisStore(client: RedisClient, options: RedisStoreOptions = {}): OutboxStore {
  checkMethods(client, ["evalsha", "eval"], "client");
  checkNames(options, ["prefix", "queue", "keep"], "options");
  const { prefix = "smtplib", queue = "", keep = 30 * DAY } = options;
  checkText(prefix, "options.prefix");
  checkText(queue, "options.queue");
  // A message that outlived its ticket could be sent twice.
  if (!Number.isSafeInteger(keep) || keep < 15 * DAY)
    throw new RangeError(`options.keep must be at least ${15 * DAY} seconds`);
  return {
    tickets: new RedisTickets(client, `${prefix}:ticket:`, keep),
    budgets: new RedisBudgets(client, `${prefix}:budget:`),
    held: new RedisHeld(client, queue === "" ? `${prefix}:held` : `${prefix}:held:${queue}`),
  };
}

const DAY = 86_400;

const READ = new RedisScript(`
local ticket = redis.call("HMGET", KEYS[1], "token", "at", "answer")
return { tostring(now), ticket[1], ticket[2], ticket[3] }`);

const TAKE = new RedisScript(`
local ticket = redis.call("HMGET", KEYS[1], "token", "outcome")
if ticket[1] == ARGV[1] then return "taken" end
if ticket[1] and (ticket[1] ~= ARGV[3] or ticket[2] == "delivered") then return "refused" end
if now > tonumber(ARGV[2]) then return "late" end
redis.call("DEL", KEYS[1])
redis.call("HSET", KEYS[1], "token", ARGV[1], "at", tostring(now))
redis.call("EXPIRE", KEYS[1], ARGV[4])
return "taken"`);

const ANSWER = new RedisScript(`
local ticket = redis.call("HMGET", KEYS[1], "token", "awaited")
if ticket[1] ~= ARGV[1] then return { "0", "0" } end
redis.call("HSET", KEYS[1], "outcome", ARGV[2], "answer", ARGV[3])
return { "1", ticket[2] or "0" }`);

const GIVE_BACK = new RedisScript(`
local ticket = redis.call("HMGET", KEYS[1], "token", "awaited")
if ticket[1] ~= ARGV[1] then return { "0", "0" } end
redis.call("DEL", KEYS[1])
return { "1", ticket[2] or "0" }`);

const AWAIT = new RedisScript(`
local ticket = redis.call("HMGET", KEYS[1], "token", "outcome")
if not ticket[1] or ticket[2] == "delivered" then return 0 end
redis.call("HSET", KEYS[1], "awaited", "1")
return 1`);

const FORGET = new RedisScript(`return redis.call("EXPIRE", KEYS[1], ARGV[1])`);

class RedisTickets implements TicketStore {
  readonly #client: RedisClient;
  readonly #prefix: string;
  readonly #keep: number;

  constructor(client: RedisClient, prefix: string, keep: number) {
    this.#client = client;
    this.#prefix = prefix;
    this.#keep = keep;
  }

  async read(key: string): Promise<{ ticket: Ticket | undefined; now: number }> {
    const [now, token, at, answer] = texts(await READ.run(this.#client, [this.#key(key)]));
    const ticket = token === undefined ? undefined : { token, at: Number(at), answer: readAnswer(answer) };
    return { ticket, now: Number(now) };
  }

  async take(key: string, token: string, limits: { notAfter: number; over?: string | undefined }): Promise<Taking> {
    const args = [token, String(limits.notAfter), limits.over ?? "", String(this.#keep)];
    const taking = await TAKE.run(this.#client, [this.#key(key)], ...args);
    return taking === "taken" || taking === "late" ? taking : "refused";
  }

  async answer(key: string, token: string, answer: TicketAnswer): Promise<TicketChange> {
    const args = [token, answer.outcome, JSON.stringify(answer)];
    return changeOf(await ANSWER.run(this.#client, [this.#key(key)], ...args));
  }

  async giveBack(key: string, token: string): Promise<TicketChange> {
    return changeOf(await GIVE_BACK.run(this.#client, [this.#key(key)], token));
  }

  async await(key: string): Promise<boolean> {
    return (await AWAIT.run(this.#client, [this.#key(key)])) === 1;
  }

  async forget(key: string, seconds: number): Promise<void> {
    await FORGET.run(this.#client, [this.#key(key)], String(Math.ceil(seconds)));
  }

  #key(key: string): string {
    return this.#prefix + key;
  }
}

function changeOf(result: unknown): TicketChange {
  const [changed, awaited] = texts(result);
  return { changed: changed === "1", awaited: awaited === "1" };
}

/** The theoretical arrival time (GCRA) of a budget is in a hash, its leases are in a sorted set of the same slot. */
const ENTER = new RedisScript(`
local messages, window, most = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local state = redis.call("HMGET", KEYS[1], "tat", "paused")
local paused = tonumber(state[2] or "0")
if paused > now then return { "wait", tostring(paused - now) } end
if most > 0 then
  redis.call("ZREMRANGEBYSCORE", KEYS[2], "-inf", now)
  local mine = redis.call("ZSCORE", KEYS[2], ARGV[1])
  if not mine and redis.call("ZCARD", KEYS[2]) >= most then return { "busy", "0" } end
end
if messages > 0 and ARGV[6] == "0" then
  local interval = window / messages
  local tat = math.max(now, tonumber(state[1] or "0"))
  redis.call("HSET", KEYS[1], "tat", tostring(tat + interval))
  redis.call("PEXPIRE", KEYS[1], math.ceil(tat + interval - now + window + 86400000))
  local wait = tat - (window - interval) - now
  if wait > 0 then return { "reserved", tostring(wait) } end
end
if most > 0 then
  redis.call("ZADD", KEYS[2], now + tonumber(ARGV[5]), ARGV[1])
  redis.call("PEXPIRE", KEYS[2], ARGV[5])
end
return { "admitted", "0" }`);

const RENEW = new RedisScript(`
if not redis.call("ZSCORE", KEYS[1], ARGV[1]) then return 0 end
redis.call("ZADD", KEYS[1], now + tonumber(ARGV[2]), ARGV[1])
return redis.call("PEXPIRE", KEYS[1], ARGV[2])`);

const LEAVE = new RedisScript(`return redis.call("ZREM", KEYS[1], ARGV[1])`);

const PAUSE = new RedisScript(`
local before = tonumber(redis.call("HGET", KEYS[1], "paused") or "0")
local paused = math.max(before, now + tonumber(ARGV[1]))
redis.call("HSET", KEYS[1], "paused", tostring(paused))
redis.call("PEXPIRE", KEYS[1], math.ceil(paused - now + 86400000))
return 1`);

class RedisBudgets implements BudgetStore {
  readonly #client: RedisClient;
  readonly #prefix: string;

  constructor(client: RedisClient, prefix: string) {
    this.#client = client;
    this.#prefix = prefix;
  }

  async enter(key: string, token: string, { budget, lease, reserved }: Request): Promise<Admission> {
    const { messages = 0, seconds = 1, concurrent = 0 } = budget;
    const numbers = [messages, seconds * 1000, concurrent, lease * 1000, reserved ? 1 : 0].map(String);
    const [state, wait] = texts(await ENTER.run(this.#client, this.#keys(key), token, ...numbers));
    if (state === "admitted" || state === "reserved" || state === "busy" || state === "wait") {
      return { state, wait: Number(wait) / 1000 };
    }
    throw new TypeError(`Redis answered ${String(state)} to a request for a budget`);
  }

  async renew(key: string, token: string, lease: number): Promise<void> {
    await RENEW.run(this.#client, this.#keys(key).slice(1), token, String(lease * 1000));
  }

  async leave(key: string, token: string): Promise<void> {
    await LEAVE.run(this.#client, this.#keys(key).slice(1), token);
  }

  async pause(key: string, seconds: number): Promise<void> {
    await PAUSE.run(this.#client, this.#keys(key).slice(0, 1), String(seconds * 1000));
  }

  #keys(key: string): [rate: string, leases: string] {
    return [`${this.#prefix}{${key}}:rate`, `${this.#prefix}{${key}}:leases`];
  }
}

const HOLD = new RedisScript(`return redis.call("HSET", KEYS[1], ARGV[1], ARGV[2])`);
const RELEASE = new RedisScript(`return redis.call("HDEL", KEYS[1], ARGV[1])`);
const LIST = new RedisScript(`return redis.call("HVALS", KEYS[1])`);

class RedisHeld implements HeldStore {
  readonly #client: RedisClient;
  readonly #key: string;

  constructor(client: RedisClient, key: string) {
    this.#client = client;
    this.#key = key;
  }

  async add(held: HeldMessage): Promise<void> {
    await HOLD.run(this.#client, [this.#key], held.id, JSON.stringify(held));
  }

  async remove(id: string): Promise<void> {
    await RELEASE.run(this.#client, [this.#key], id);
  }

  async list(): Promise<HeldMessage[]> {
    return texts(await LIST.run(this.#client, [this.#key])).flatMap((text) => readHeld(text) ?? []);
  }
}
