/** Tickets, budgets and the list of held messages in PostgreSQL. */
import { checkMethods, checkNames, checkText } from "./checks.ts";
import { field } from "./error-fields.ts";
import type { Admission, BudgetStore, HeldMessage, HeldStore, OutboxStore, Request } from "./store.ts";
import { readAnswer } from "./stored-values.ts";
import type { Taking, Ticket, TicketAnswer, TicketChange, TicketStore } from "./ticket.ts";

/** Anything that runs a statement: a pool or a client of pg, or another with its `query`. */
export type SqlClient = {
  query(text: string, values?: unknown[]): Promise<{ rows: unknown[] }>;
};

/** Options of `postgresStore`. */
export type PostgresStoreOptions = {
  /** The schema of the tables; lower-case letters, digits and "_". Default: "smtplib". */
  schema?: string | undefined;
  /** The queue whose held messages are listed; tickets are those of all queues. Default: "". */
  queue?: string | undefined;
  /** A prefix of the names of budgets: stores with the same one share their budgets. Default: "". */
  budgets?: string | undefined;
};

/**
 * The store of an outbox in PostgreSQL. `schema.install()` makes its tables, if they are missing.
 * @throws {TypeError} or {RangeError} naming the argument that is wrong
 */
export function postgresStore(
  client: SqlClient,
  options: PostgresStoreOptions = {},
): OutboxStore & { readonly install: () => Promise<void> } {
  checkMethods(client, ["query"], "client");
  checkNames(options, ["schema", "queue", "budgets"], "options");
  const { schema = "smtplib", queue = "", budgets = "" } = options;
  checkText(schema, "options.schema");
  checkText(queue, "options.queue");
  checkText(budgets, "options.budgets");
  if (!/^[a-z_][a-z0-9_]{0,62}$/.test(schema)) throw new RangeError("options.schema must be a plain lower-case name");
  return {
    tickets: new PostgresTickets(client, `${schema}.outbox_ticket`),
    budgets: new PostgresBudgets(client, `${schema}.outbox_budget`, budgets),
    held: new PostgresHeld(client, `${schema}.outbox_held`, queue),
    install: async () => void (await client.query(tables(schema))),
  };
}

/** One statement string, so that it is one transaction; the lock keeps two workers from making the same table. */
const tables = (schema: string): string => `
BEGIN;
SELECT pg_advisory_xact_lock(${LOCK});
CREATE SCHEMA IF NOT EXISTS ${schema};
CREATE TABLE IF NOT EXISTS ${schema}.outbox_ticket (
  key text PRIMARY KEY, token text NOT NULL, at timestamptz NOT NULL DEFAULT clock_timestamp(),
  outcome text, answer text, awaited boolean NOT NULL DEFAULT false, forget timestamptz);
CREATE INDEX IF NOT EXISTS outbox_ticket_forget ON ${schema}.outbox_ticket (forget) WHERE forget IS NOT NULL;
CREATE TABLE IF NOT EXISTS ${schema}.outbox_budget (
  key text PRIMARY KEY, tat double precision NOT NULL DEFAULT 0, paused double precision NOT NULL DEFAULT 0,
  leases jsonb NOT NULL DEFAULT '{}');
CREATE TABLE IF NOT EXISTS ${schema}.outbox_held (
  id text PRIMARY KEY, message_id text NOT NULL, reason text NOT NULL, since double precision NOT NULL,
  queue text NOT NULL);
COMMIT;`;

const LOCK = 7_365_821;

/** Milliseconds since 1970, by the server's clock, not that of the transaction's start. */
const NOW = "(extract(epoch FROM clock_timestamp()) * 1000)";

class PostgresTickets implements TicketStore {
  readonly #client: SqlClient;
  readonly #table: string;
  /** How many tickets this process had forgotten: the first and each thousandth delete what is over. */
  #forgotten = 0;

  constructor(client: SqlClient, table: string) {
    this.#client = client;
    this.#table = table;
  }

  async read(key: string): Promise<{ ticket: Ticket | undefined; now: number }> {
    const { rows } = await this.#client.query(
      `SELECT ${NOW}::float8 AS now, t.token, (extract(epoch FROM t.at) * 1000)::float8 AS at, t.answer
       FROM (SELECT 1) AS one LEFT JOIN ${this.#table} t ON t.key = $1`,
      [key],
    );
    const [row] = rows;
    const token = field(row, "token", "string");
    const answer = readAnswer(field(row, "answer", "string"));
    const ticket = token === undefined ? undefined : { token, at: field(row, "at", "number") ?? 0, answer };
    return { ticket, now: field(row, "now", "number") ?? 0 };
  }

  async take(key: string, token: string, limits: { notAfter: number; over?: string | undefined }): Promise<Taking> {
    const { rows } = await this.#client.query(
      `INSERT INTO ${this.#table} AS t (key, token) SELECT $1, $2 WHERE ${NOW} <= $3
       ON CONFLICT (key) DO UPDATE SET token = $2, at = clock_timestamp(), outcome = NULL, answer = NULL, awaited = false
       WHERE t.token = $4 AND t.outcome IS DISTINCT FROM 'delivered'
       RETURNING token`,
      [key, token, limits.notAfter, limits.over ?? ""],
    );
    if (rows.length > 0) return "taken";
    const { ticket, now } = await this.read(key);
    // The command may have run twice, the reply to the first one being lost.
    if (ticket?.token === token) return "taken";
    return ticket === undefined && now > limits.notAfter ? "late" : "refused";
  }

  async answer(key: string, token: string, answer: TicketAnswer): Promise<TicketChange> {
    return this.#change("UPDATE", "SET outcome = $3, answer = $4", [
      key,
      token,
      answer.outcome,
      JSON.stringify(answer),
    ]);
  }

  async giveBack(key: string, token: string): Promise<TicketChange> {
    return this.#change("DELETE FROM", "", [key, token]);
  }

  async await(key: string): Promise<boolean> {
    const { rows } = await this.#client.query(
      `UPDATE ${this.#table} SET awaited = true WHERE key = $1 AND outcome IS DISTINCT FROM 'delivered' RETURNING key`,
      [key],
    );
    return rows.length > 0;
  }

  async forget(key: string, seconds: number): Promise<void> {
    await this.#client.query(
      `UPDATE ${this.#table} SET forget = clock_timestamp() + $2 * interval '1 second' WHERE key = $1`,
      [key, seconds],
    );
    if (this.#forgotten++ % 1000 === 0) await this.#sweep();
  }

  /** Deletes tickets whose time is over, and those whose worker died before it could say so: no message lives as long. */
  async #sweep(): Promise<void> {
    await this.#client.query(
      `DELETE FROM ${this.#table} WHERE forget < clock_timestamp() OR at < clock_timestamp() - interval '30 days'`,
    );
  }

  async #change(verb: string, set: string, values: unknown[]): Promise<TicketChange> {
    const { rows } = await this.#client.query(
      `${verb} ${this.#table} ${set} WHERE key = $1 AND token = $2 RETURNING awaited`,
      values,
    );
    return { changed: rows.length > 0, awaited: field(rows[0], "awaited", "boolean") ?? false };
  }
}

class PostgresBudgets implements BudgetStore {
  readonly #client: SqlClient;
  readonly #table: string;
  readonly #prefix: string;

  constructor(client: SqlClient, table: string, prefix: string) {
    this.#client = client;
    this.#table = table;
    this.#prefix = prefix;
  }

  /** One statement, which locks the budget's row, so that requests follow one another. */
  async enter(key: string, token: string, { budget, lease, reserved }: Request): Promise<Admission> {
    const { messages = 0, seconds = 1, concurrent = 0 } = budget;
    await this.#client.query(`INSERT INTO ${this.#table} (key) VALUES ($1) ON CONFLICT DO NOTHING`, [
      this.#prefix + key,
    ]);
    const rate = messages > 0 && !reserved ? messages : 0;
    const { rows } = await this.#client.query(ENTER.replaceAll("BUDGET", this.#table), [
      ...[this.#prefix + key, token, rate, seconds * 1000, concurrent, lease * 1000],
    ]);
    const state = field(rows[0], "state", "string");
    const wait = (field(rows[0], "wait", "number") ?? 0) / 1000;
    if (state === "admitted" || state === "reserved" || state === "busy" || state === "wait") return { state, wait };
    throw new TypeError(`PostgreSQL answered ${String(state)} to a request for a budget`);
  }

  async renew(key: string, token: string, lease: number): Promise<void> {
    await this.#client.query(
      `UPDATE ${this.#table} SET leases = leases || jsonb_build_object($2::text, ${NOW} + $3::float8 * 1000)
       WHERE key = $1 AND leases ? $2`,
      [this.#prefix + key, token, lease],
    );
  }

  async leave(key: string, token: string): Promise<void> {
    await this.#client.query(`UPDATE ${this.#table} SET leases = leases - $2::text WHERE key = $1`, [
      this.#prefix + key,
      token,
    ]);
  }

  async pause(key: string, seconds: number): Promise<void> {
    await this.#client.query(
      `INSERT INTO ${this.#table} AS b (key, paused) VALUES ($1, ${NOW} + $2::float8 * 1000)
       ON CONFLICT (key) DO UPDATE SET paused = greatest(b.paused, excluded.paused)`,
      [this.#prefix + key, seconds],
    );
  }
}

/** $1 key, $2 token, $3 messages or 0, $4 window, $5 most at a time or 0, $6 lease; times in milliseconds. */
const ENTER = `
WITH row AS (SELECT * FROM BUDGET WHERE key = $1 FOR UPDATE),
clock AS (SELECT row.*, ${NOW}::float8 AS now FROM row),
live AS (
  SELECT clock.*, coalesce((SELECT jsonb_object_agg(k, v) FROM jsonb_each(leases) AS l(k, v)
    WHERE (v::text)::float8 > now), '{}'::jsonb) AS kept FROM clock),
judged AS (
  SELECT live.*, greatest(now, tat) AS base, $4::float8 / nullif($3::float8, 0) AS step,
    CASE WHEN paused > now THEN 'wait'
      WHEN $5::int > 0 AND NOT kept ? $2 AND (SELECT count(*) FROM jsonb_object_keys(kept)) >= $5::int THEN 'busy'
      WHEN $3::float8 > 0 AND greatest(now, tat) - ($4::float8 - $4::float8 / nullif($3::float8, 0)) > now THEN 'reserved'
      ELSE 'admitted' END AS verdict FROM live)
UPDATE BUDGET AS b SET
  tat = CASE WHEN verdict IN ('reserved', 'admitted') AND $3::float8 > 0 THEN base + step ELSE b.tat END,
  leases = CASE WHEN verdict = 'admitted' AND $5::int > 0 THEN kept || jsonb_build_object($2::text, now + $6::float8) ELSE kept END
FROM judged WHERE b.key = judged.key
RETURNING verdict AS state, (CASE verdict WHEN 'wait' THEN judged.paused - now
  WHEN 'reserved' THEN base - ($4::float8 - step) - now ELSE 0 END)::float8 AS wait`;

class PostgresHeld implements HeldStore {
  readonly #client: SqlClient;
  readonly #table: string;
  readonly #queue: string;

  constructor(client: SqlClient, table: string, queue: string) {
    this.#client = client;
    this.#table = table;
    this.#queue = queue;
  }

  async add({ id, messageId, reason, since }: HeldMessage): Promise<void> {
    await this.#client.query(
      `INSERT INTO ${this.#table} (id, message_id, reason, since, queue) VALUES ($1, $2, $3, $4, $5)
       ON CONFLICT (id) DO UPDATE SET reason = excluded.reason`,
      [id, messageId, reason, since, this.#queue],
    );
  }

  async remove(id: string): Promise<void> {
    await this.#client.query(`DELETE FROM ${this.#table} WHERE id = $1`, [id]);
  }

  async list(): Promise<HeldMessage[]> {
    const { rows } = await this.#client.query(
      `SELECT id, message_id, reason, since::float8 AS since FROM ${this.#table} WHERE queue = $1
       ORDER BY since LIMIT 100000`,
      [this.#queue],
    );
    return rows.map((row) => ({
      id: field(row, "id", "string") ?? "",
      messageId: field(row, "message_id", "string") ?? "",
      reason: field(row, "reason", "string") === "lost" ? "lost" : "in-flight",
      since: field(row, "since", "number") ?? 0,
    }));
  }
}
