/** Properties of the outbox on pg-boss only: messages that are part of the caller's own transaction. */
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import pg from "pg";
import { PgBoss } from "pg-boss";
import { afterAll, beforeAll, expect, it } from "vitest";
import { redriven } from "../../src/outbox/dead-letters.ts";
import { type OutboxWorker, type PgBossOutbox, pgBossOutbox, postgresStore } from "../../src/outbox/index.ts";
import { readMessage } from "../../src/outbox/message.ts";
import { outboxSettings } from "../../src/outbox/options.ts";
import { Outbox } from "../../src/outbox/outbox.ts";
import { inTransaction } from "../../src/outbox/pg-boss-client.ts";
import { PgBossConclusions } from "../../src/outbox/pg-boss-conclusion.ts";
import { PgBossJobs } from "../../src/outbox/pg-boss-jobs.ts";
import { ClaimLostError } from "../../src/outbox/worker.ts";
import { startServer } from "../../src/testing/index.ts";
import { describeService } from "./describe-service.ts";
import { type Service, startPostgres } from "./services.ts";
import { until } from "./until.ts";

const envelope = { from: "ada@example.com", to: ["charles@example.net"] };

describeService("postgresql", () => {
  const server = startServer();
  let service: Service;
  let boss: PgBoss;
  let outbox: PgBossOutbox;
  let worker: OutboxWorker;
  let queues = 0;

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

  /** An outbox on an adapter that runs statements one by one; the next call of the method in `fails` fails. */
  async function withoutTransactions(): Promise<WithoutTransactions> {
    const database = boss.getDb();
    const query = database.executeSql.bind(database);
    const plain = Object.create(boss, { getDb: { value: () => ({ executeSql: query }) } });
    const queue = `plain-${++queues}`;
    const store = postgresStore({ query });
    const connect = () => ({ host: "mail.example.com", transport: server.transport });
    const own: WithoutTransactions = {
      queue,
      outbox: pgBossOutbox(plain, { connect, store, queue, policy: { greylisting: 0.1, jitter: 0 } }),
      fails: undefined,
    };
    for (const name of METHODS) {
      const method: (...args: never) => unknown = Reflect.get(boss, name);
      const value = async (...args: unknown[]): Promise<unknown> => {
        const when = own.fails?.name === name ? own.fails.when : undefined;
        if (when !== undefined) own.fails = undefined;
        if (when === "before") throw new Error("the connection is gone");
        const result: unknown = await Reflect.apply(method, boss, args);
        if (when === "after") throw new Error("the connection is gone");
        return result;
      };
      Object.defineProperty(plain, name, { value });
    }
    await own.outbox.install();
    return own;
  }

  it("queues a message with the caller's transaction, or not at all", async () => {
    await transaction("ROLLBACK", "rolled back");
    await transaction("COMMIT", "committed");
    expect((await server.next()).text).toContain("X-Key: committed");
    // The key of the message that was rolled back is free.
    await transaction("COMMIT", "rolled back");
    expect((await server.next()).text).toContain("X-Key: rolled back");
    expect(server.messages).toHaveLength(2);
  });

  it.each(["a new message with its key", "the message that was redriven"])(
    "does not let a worker that wakes after a long time end %s",
    async (successor) => {
      const queue = `woken-${++queues}`;
      const settings = outboxSettings({ connect: () => ({ host: "mail.example.com" }) });
      const store = postgresStore({ query: (text, values) => boss.getDb().executeSql(text, values) });
      const inner = new Outbox(settings, store, queue);
      const jobs = new PgBossJobs(boss, queue, { heartbeat: 10, lifetime: 60, retention: 60 });
      const mail = pgBossOutbox(boss, { connect: settings.connect, queue, store });
      await mail.install();
      const { jobs: added } = await mail.enqueue(envelope, "Hi!\r\n", { key: "daily" });
      const id = added[0]?.id ?? "";
      const [job] = await boss.fetch(queue, { includeMetadata: true });
      if (job === undefined) throw new Error("there is no job");
      const message = readMessage(job.data);
      await boss.deleteJob(queue, id);
      if (successor.startsWith("a new")) await mail.enqueue(envelope, "Hi!\r\n", { key: "daily" });
      else await jobs.insert([{ message: redriven(message, 60), from: Date.now() }], undefined);
      // The first attempt of each has the same name.
      expect(await boss.fetch(queue, { includeMetadata: true })).toMatchObject([{ id, retryCount: job.retryCount }]);
      for (const action of ["done", "give-up", "retry"] as const) {
        const conclusion = { action, after: 0, state: message.state, error: undefined, reply: undefined, slowDown: 0 };
        const write = await new PgBossConclusions(boss, jobs, inner).prepare(job, message, conclusion);
        await expect(write()).rejects.toThrow(ClaimLostError);
      }
      expect(await boss.findJobs(queue, { id })).toMatchObject([{ state: "active", retryCount: 0 }]);
      expect(await mail.deadLetters()).toEqual([]);
    },
  );

  it("sends the mail of a queue while the server of another one is busy, though both call it relay", async () => {
    const busy = startServer({ answers: { rcpt: "421 4.3.2 busy" } });
    const open = async (to: typeof server): Promise<PgBossOutbox> => {
      const connect = () => ({ host: "mail.example.com", transport: to.transport, reconnectFor: 0 });
      const own = pgBossOutbox(boss, { connect, queue: `relay-${++queues}` });
      await own.install();
      return own;
    };
    const [one, other] = [await open(busy), await open(server)];
    const workers = await Promise.all([one, other].map((own) => own.work({ poll: 0.05 })));
    await one.enqueue(envelope, "X-Key: busy\r\n\r\nHi!\r\n");
    await until(async () => busy.commands.some((command) => command.startsWith("RCPT")));
    await new Promise((resolve) => setTimeout(resolve, 200));
    await other.enqueue(envelope, "X-Key: other\r\n\r\nHi!\r\n");
    expect((await server.next()).text).toContain("X-Key: other");
    await Promise.all(workers.map((own) => own.close()));
    await busy.close();
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
    const own = await withoutTransactions();
    server.once("rcpt", "450 4.2.0 later");
    await own.outbox.enqueue(envelope, "Hi!\r\n");
    const ownWorker = await own.outbox.work({ poll: 0.05 });
    expect((await server.next()).text).toContain("Hi!");
    await ownWorker.close();
  });

  it.each(["touch", "deleteJob", "insert", "complete"])(
    "loses no dead letter where an adapter without transactions fails: %s",
    async (name) => {
      for (const when of ["before", "after"] as const) {
        const own = await withoutTransactions();
        const { jobs } = await own.outbox.enqueue({ ...envelope, to: ["gone@example.net"] }, "Hi!\r\n");
        server.once("rcpt", "550 5.1.1 no such user");
        own.fails = { name, when };
        const ownWorker = await own.outbox.work({ poll: 0.05 });
        await until(async () => (await boss.findJobs(own.queue, { id: jobs[0]?.id ?? "" }))[0]?.state === "completed");
        await ownWorker.close();
        expect(own.fails, `${name} ${when}`).toBeUndefined();
        expect(await own.outbox.deadLetters(), `${name} ${when}`).toMatchObject([{ id: jobs[0]?.id }]);
      }
    },
  );

  it.each(["deleteJob", "insert"])(
    "loses no dead letter that is sent again where an adapter without transactions fails: %s",
    async (name) => {
      for (const when of ["before", "after"] as const) {
        const own = await withoutTransactions();
        const { jobs } = await own.outbox.enqueue(envelope, "Subject: Again\r\n\r\nHi!\r\n");
        const id = jobs[0]?.id ?? "";
        server.once("rcpt", "550 5.1.1 no such user");
        const ownWorker = await own.outbox.work({ poll: 0.05 });
        await until(async () => (await own.outbox.deadLetters()).length === 1);
        own.fails = { name, when };
        await expect(own.outbox.redrive(id)).rejects.toThrow("the connection is gone");
        if ((await own.outbox.deadLetters()).length === 1) await own.outbox.redrive(id);
        expect((await server.next()).text, `${name} ${when}`).toContain("Subject: Again");
        await until(async () => (await boss.findJobs(own.queue, { id }))[0]?.state === "completed");
        expect(await own.outbox.deadLetters(), `${name} ${when}`).toEqual([]);
        await ownWorker.close();
      }
    },
  );

  it("takes a letter that a dead worker left without a transaction for none while its message is in the queue", async () => {
    const own = await withoutTransactions();
    const { jobs } = await own.outbox.enqueue(envelope, "Subject: Alive\r\n\r\nHi!\r\n");
    const id = jobs[0]?.id ?? "";
    const [job] = await boss.findJobs(own.queue, { id });
    await boss.insert(`${own.queue}-dead`, [{ id, data: { message: job?.data, why: "no such user" } }]);
    expect(await own.outbox.deadLetters()).toEqual([]);
    await expect(own.outbox.redrive(id)).rejects.toThrow("is in the queue");
    await expect(own.outbox.discard(id)).rejects.toThrow("is in the queue");
    const ownWorker = await own.outbox.work({ poll: 0.05 });
    expect((await server.next()).text).toContain("Subject: Alive");
    await until(async () => (await boss.findJobs(own.queue, { id }))[0]?.state === "completed");
    expect(await own.outbox.deadLetters()).toEqual([]);
    await ownWorker.close();
  });

  it("remembers the key of a dead letter as long as the letter", async () => {
    const gone = { ...envelope, to: ["gone@example.net"] };
    server.once("rcpt", "550 5.1.1 no such user");
    const first = await outbox.enqueue(gone, "Subject: One\r\n\r\nHi!\r\n", { key: "of a letter" });
    const id = first.jobs[0]?.id ?? "";
    await until(async () => (await outbox.deadLetters()).some((dead) => dead.id === id));
    // pg-boss does this after the option retention.
    await boss.deleteJob("mail", id);
    const again = await outbox.enqueue(gone, "Subject: Two\r\n\r\nHi!\r\n", { key: "of a letter" });
    expect(again).toMatchObject({ messageId: first.messageId, jobs: [{ id, added: false }] });
    await outbox.redrive(id);
    expect((await server.next()).text).toContain("Subject: One");
  });

  it("sends no dead letter again over a message that is in the queue under its key", async () => {
    server.once("rcpt", "550 5.1.1 no such user");
    const { jobs } = await outbox.enqueue(envelope, "Subject: One\r\n\r\nHi!\r\n", { key: "used twice" });
    const id = jobs[0]?.id ?? "";
    await until(async () => (await outbox.deadLetters()).some((dead) => dead.id === id));
    const [job] = await boss.findJobs("mail", { id });
    await boss.deleteJob("mail", id);
    await boss.send("mail", job?.data ?? {}, { id, startAfter: 3600 });
    await expect(outbox.redrive(id)).rejects.toThrow("is in the queue");
    expect((await boss.findJobs("mail", { id }))[0]?.state).toBe("created");
    expect((await outbox.deadLetters()).some((dead) => dead.id === id)).toBe(true);
    await boss.deleteJob("mail", id);
    await outbox.discard(id);
  });

  it("closes an idle worker at once, even while it asks for messages", async () => {
    const idle = await outbox.work({ poll: 8 });
    const start = performance.now();
    await idle.close();
    expect(performance.now() - start).toBeLessThan(2000);
  });

  it("starts no worker on a queue that was never installed", async () => {
    const connect = () => ({ host: "mail.example.com" });
    const missing = pgBossOutbox(boss, { connect, queue: "missing" });
    await expect(missing.work()).rejects.toThrow("call install() first");
    const elsewhere = pgBossOutbox(boss, { connect, schema: "elsewhere" });
    await expect(elsewhere.work()).rejects.toThrow("call install() first");
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
    // The second query gets the connection while the answer to the first is read, and the server's last error follows
    // it.
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

type WithoutTransactions = {
  readonly queue: string;
  readonly outbox: PgBossOutbox;
  fails: { readonly name: string; readonly when: "before" | "after" } | undefined;
};

const METHODS = [
  ...(["insert", "fetch", "touch", "complete", "fail", "update"] as const),
  ...(["deleteJob", "findJobs", "createQueue"] as const),
];

/** A proxy to PostgreSQL by which the server can end right after an answer, in the same packet. */
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
