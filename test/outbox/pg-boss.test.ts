/** What only the outbox on pg-boss has: messages that are part of the caller's own transaction. */
import pg from "pg";
import { PgBoss } from "pg-boss";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type OutboxWorker, type PgBossOutbox, pgBossOutbox, postgresStore } from "../../src/outbox/index.ts";
import { startServer } from "../../src/testing/index.ts";
import { describeService } from "./describe-service.ts";
import { type Service, startPostgres } from "./services.ts";

const envelope = { from: "ada@example.com", to: ["charles@example.net"] };

describeService("postgresql", () => {
  const server = startServer();
  let service: Service;
  let boss: PgBoss;
  let outbox: PgBossOutbox;
  let worker: OutboxWorker;

  beforeAll(async () => {
    service = await startPostgres();
    boss = new PgBoss({ host: "127.0.0.1", port: service.port, user: "postgres", database: "postgres" });
    boss.on("error", () => {});
    await boss.start();
    const connect = () => ({ host: "mail.example.com", transport: server.transport });
    outbox = pgBossOutbox(boss, { connect });
    await outbox.install();
    worker = await outbox.work({ poll: 0.05 });
  }, 120_000);

  afterAll(async () => {
    await worker?.close();
    await boss?.stop({ graceful: false });
    await service?.close();
    await server.close();
  });

  async function transaction(end: "COMMIT" | "ROLLBACK", key: string): Promise<void> {
    const client = new pg.Client({ host: "127.0.0.1", port: service.port, user: "postgres" });
    await client.connect();
    await client.query("BEGIN");
    const { jobs } = await outbox.enqueue(envelope, `X-Key: ${key}\r\n\r\nHi!\r\n`, { key, db: client });
    expect(jobs).toMatchObject([{ added: true }]);
    await client.query(end);
    await client.end();
  }

  it("queues a message with the caller's transaction, or not at all", async () => {
    await transaction("ROLLBACK", "rolled back");
    await transaction("COMMIT", "committed");
    expect((await server.next()).text).toContain("X-Key: committed");
    // The key of the one that was rolled back is free.
    await transaction("COMMIT", "rolled back");
    expect((await server.next()).text).toContain("X-Key: rolled back");
    expect(server.messages).toHaveLength(2);
  });

  it("sends a message with the same key once for each schema that pg-boss has in one database", async () => {
    const other = new PgBoss({ host: "127.0.0.1", port: service.port, user: "postgres", schema: "other" });
    other.on("error", () => {});
    await other.start();
    const otherServer = startServer();
    const connect = () => ({ host: "mail.example.com", transport: otherServer.transport });
    const second = pgBossOutbox(other, { connect });
    await second.install();
    await outbox.enqueue(envelope, "Subject: One\r\n\r\nHi!\r\n", { key: "the same" });
    expect((await server.next()).text).toContain("Subject: One");
    await second.enqueue(envelope, "Subject: Other\r\n\r\nHi!\r\n", { key: "the same" });
    const secondWorker = await second.work({ poll: 0.05 });
    expect((await otherServer.next()).text).toContain("Subject: Other");
    await secondWorker.close();
    await other.stop({ graceful: false });
    await otherServer.close();
  });

  it("works with an adapter that has no transactions of its own", async () => {
    const database = boss.getDb();
    const plain = Object.create(boss, {
      getDb: { value: () => ({ executeSql: database.executeSql.bind(database) }) },
    });
    for (const name of [
      "insert",
      "fetch",
      "touch",
      "complete",
      "fail",
      "update",
      "deleteJob",
      "findJobs",
      "createQueue",
    ]) {
      Object.defineProperty(plain, name, { value: Reflect.get(boss, name).bind(boss) });
    }
    const store = postgresStore({ query: (text, values) => database.executeSql(text, values) });
    const connect = () => ({ host: "mail.example.com", transport: server.transport });
    const own = pgBossOutbox(plain, { connect, store, queue: "plain", policy: { greylisting: 0.1, jitter: 0 } });
    await own.install();
    server.once("rcpt", "450 4.2.0 later");
    await own.enqueue(envelope, "Hi!\r\n");
    const ownWorker = await own.work({ poll: 0.05 });
    expect((await server.next()).text).toContain("Hi!");
    await ownWorker.close();
  });

  it("refuses wrong options by their names", () => {
    const connect = () => ({ host: "mail.example.com" });
    expect(() => pgBossOutbox(boss, { connect, heartbeat: 5 })).toThrow("heartbeat");
    expect(() => pgBossOutbox(boss, { connect, schema: "a; DROP TABLE b" })).toThrow("schema");
    expect(() => Reflect.apply(pgBossOutbox, undefined, [boss, {}])).toThrow("connect");
    expect(() => Reflect.apply(pgBossOutbox, undefined, [boss, { connect, worker: {} }])).toThrow('no option "worker"');
  });
});
