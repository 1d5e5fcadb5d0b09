/** What only the outbox on pg-boss has: messages that are part of the caller's own transaction. */
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import pg from "pg";
import { PgBoss } from "pg-boss";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type OutboxWorker, type PgBossOutbox, pgBossOutbox, postgresStore } from "../../src/outbox/index.ts";
import { inTransaction } from "../../src/outbox/pg-boss-client.ts";
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

  it("outlives a server that ends between two uses of a connection", async () => {
    const uncaught: unknown[] = [];
    const remember = (error: unknown): void => void uncaught.push(error);
    process.on("uncaughtException", remember);
    const way = await WayToServer.to(service.port);
    const cut = new PgBoss({ host: "127.0.0.1", port: way.port, user: "postgres", schema: "cut", max: 1 });
    cut.on("error", () => {});
    await cut.start();
    way.endsAfterAnswer = true;
    // The connection passes from one to the other while its answer is read, and the server's last words are behind that.
    const [first, second] = await Promise.allSettled([
      cut.getDb().executeSql("SELECT 1"),
      inTransaction(cut, async (db) => await db?.executeSql("SELECT 2")),
    ]);
    expect([first.status, second.status]).toEqual(["fulfilled", "rejected"]);
    await cut.stop({ graceful: false });
    way.close();
    process.off("uncaughtException", remember);
    expect(uncaught).toEqual([]);
  });

  it("refuses wrong options by their names", () => {
    const connect = () => ({ host: "mail.example.com" });
    expect(() => pgBossOutbox(boss, { connect, heartbeat: 5 })).toThrow("heartbeat");
    expect(() => pgBossOutbox(boss, { connect, schema: "a; DROP TABLE b" })).toThrow("schema");
    expect(() => Reflect.apply(pgBossOutbox, undefined, [boss, {}])).toThrow("connect");
    expect(() => Reflect.apply(pgBossOutbox, undefined, [boss, { connect, worker: {} }])).toThrow('no option "worker"');
  });
});

/** A way to PostgreSQL by which the server can end right behind an answer, in the same packet. */
class WayToServer {
  readonly #server: Server;
  readonly #sockets: Socket[] = [];
  endsAfterAnswer = false;

  constructor(port: number) {
    this.#server = createServer((client) => {
      const server = connect(port, "127.0.0.1");
      this.#sockets.push(client, server);
      for (const socket of [client, server]) socket.on("error", () => {});
      client.on("data", (data) => server.write(data));
      server.on("data", (data) => this.#pass(data, client));
      client.on("close", () => server.destroy());
      server.on("close", () => client.destroy());
    });
  }

  static async to(port: number): Promise<WayToServer> {
    const way = new WayToServer(port);
    await new Promise<void>((resolve) => way.#server.listen(0, "127.0.0.1", resolve));
    return way;
  }

  get port(): number {
    return addressOf(this.#server).port;
  }

  close(): void {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
  }

  #pass(data: Buffer, client: Socket): void {
    const ends = this.endsAfterAnswer && data.at(-6) === READY_FOR_QUERY;
    client.write(ends ? Buffer.concat([data, LAST_WORDS]) : data);
    if (ends) this.endsAfterAnswer = false;
  }
}

function addressOf(server: Server): AddressInfo {
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("the server does not listen");
  return address;
}

/** The type of the message that ends an answer of PostgreSQL. */
const READY_FOR_QUERY = 0x5a;

/** An ErrorResponse, as each backend sends it when the server's first process is killed. */
const LAST_WORDS = errorResponse({
  S: "FATAL",
  V: "FATAL",
  C: "57P01",
  M: "terminating connection due to unexpected postmaster exit",
});

function errorResponse(fields: Readonly<Record<string, string>>): Buffer {
  const text = Object.entries(fields).map(([type, value]) => `${type}${value}\0`);
  const body = Buffer.from(`${text.join("")}\0`);
  const head = Buffer.from([0x45, 0, 0, 0, 0]);
  head.writeInt32BE(body.length + 4, 1);
  return Buffer.concat([head, body]);
}
