/** What the measurements of an outbox have in common. */
import Redis from "ioredis";
import pg from "pg";
import type { QueueName } from "../queues.ts";

/** A message of one kilobyte. */
export const BODY: string = `Subject: Hello\r\n\r\n${"Lorem ipsum dolor sit amet, consectetur adipiscing elit.\r\n".repeat(17)}`;

/** Redis's report on itself: a number of it by its name. */
export async function redisInfo(port: number): Promise<(name: string) => number> {
  const client = new Redis(port, "127.0.0.1");
  const info = await client.info();
  client.disconnect();
  return (name) => Number(new RegExp(`^${name}:(\\d+)`, "m").exec(info)?.[1]);
}

/** One row of PostgreSQL's. */
export async function postgresRow(port: number, query: string): Promise<Readonly<Record<string, number>>> {
  const client = new pg.Client({ host: "127.0.0.1", port, user: "postgres" });
  await client.connect();
  const { rows } = await client.query(query);
  await client.end();
  return rows[0];
}

/** Octets that the queue's server has in memory, or on its disk. */
export async function memoryOf(queue: QueueName, port: number): Promise<number> {
  if (queue === "redis") return (await redisInfo(port))("used_memory");
  const { octets = Number.NaN } = await postgresRow(port, "SELECT pg_database_size('postgres')::float8 AS octets");
  return octets;
}
