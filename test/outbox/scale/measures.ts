/** Helpers of the measurements of an outbox. */
import Redis from "ioredis";
import pg from "pg";
import type { QueueName } from "../queues.ts";

/** A message of one kilobyte. */
export const BODY: string = `Subject: Hello\r\n\r\n${"Lorem ipsum dolor sit amet, consectetur adipiscing elit.\r\n".repeat(17)}`;

/** Returns a function that returns a number of Redis's INFO by its name. */
export async function redisInfo(port: number): Promise<(name: string) => number> {
  const client = new Redis(port, "127.0.0.1");
  const info = await client.info();
  client.disconnect();
  return (name) => Number(new RegExp(`^${name}:(\\d+)`, "m").exec(info)?.[1]);
}

/** Returns one row of a query to PostgreSQL. */
export async function postgresRow(port: number, query: string): Promise<Readonly<Record<string, number>>> {
  const client = new pg.Client({ host: "127.0.0.1", port, user: "postgres" });
  await client.connect();
  const { rows } = await client.query(query);
  await client.end();
  return rows[0];
}

/** The bytes of the queue's server, in memory or on disk. */
export async function memoryOf(queue: QueueName, port: number): Promise<number> {
  if (queue === "redis") return (await redisInfo(port))("used_memory");
  const { octets = Number.NaN } = await postgresRow(port, "SELECT pg_database_size('postgres')::float8 AS octets");
  return octets;
}
