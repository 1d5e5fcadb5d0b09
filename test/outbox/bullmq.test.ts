/**
 * Properties of the outbox on BullMQ only: connections that keep what they cannot send, and jobs that change step by
 * step.
 */
import { inspect } from "node:util";
import { type ConnectionOptions, Job, Queue } from "bullmq";
import Redis from "ioredis";
import { afterAll, beforeAll, expect, it, onTestFinished, vi } from "vitest";
import { type BullmqOutbox, bullmqOutbox, OutboxUnavailableError } from "../../src/outbox/index.ts";
import { startServer, type TestServer } from "../../src/testing/index.ts";
import { failureOf } from "../servers/failure.ts";
import { gate } from "../support/gate.ts";
import { describeService } from "./describe-service.ts";
import { type Service, startRedis } from "./services.ts";
import { until } from "./until.ts";

const envelope = { from: "ada@example.com", to: ["charles@example.net"] };
const letter = "Subject: Hello\r\n\r\nHi!\r\n";

describeService("redis", () => {
  let service: Service;
  let queues = 0;

  beforeAll(async () => {
    service = await startRedis();
  }, 60_000);
  afterAll(() => service?.close());

  type Opened = { readonly outbox: BullmqOutbox; readonly queue: Queue; readonly server: TestServer };

  function opened(connection: ConnectionOptions = {}, timeout = 0.5): Opened {
    const server = startServer();
    const queue = new Queue(`mail-${++queues}`, {
      connection: { host: "127.0.0.1", port: service.port, maxRetriesPerRequest: null, ...connection },
    });
    queue.on("error", () => {});
    onTestFinished(async () => {
      await queue.close();
      await server.close();
    });
    const connect = () => ({ host: "mail.example.com", transport: server.transport });
    return { queue, server, outbox: bullmqOutbox(queue, { connect, timeout }) };
  }

  it("sends a dead letter again though the first try to do so ended halfway", async () => {
    const { outbox, server } = opened();
    server.once("rcpt", "550 5.1.1 no such user");
    const { jobs } = await outbox.enqueue(envelope, letter);
    const id = jobs[0]?.id ?? "";
    const worker = await outbox.work();
    await until(async () => (await outbox.deadLetters()).length === 1);
    const retry = vi.spyOn(Job.prototype, "retry").mockRejectedValueOnce(new Error("the connection is gone"));
    onTestFinished(() => retry.mockRestore());
    await expect(outbox.redrive(id)).rejects.toThrow("the connection is gone");
    expect(await outbox.deadLetters()).toMatchObject([{ id }]);
    await outbox.redrive(id);
    await server.next();
    expect(await outbox.deadLetters()).toEqual([]);
    await expect(outbox.redrive(id)).rejects.toThrow("is no dead letter");
    await worker.close();
  });

  it("writes nothing over the state of another worker, or over a new message, when it wakes with a lost lock", async () => {
    const { outbox, queue, server } = opened();
    const client = Object(await queue.getBackend().client);
    const run = client.evalsha.bind(client);
    let isFrozen = false;
    const awake = gate();
    let written: Promise<unknown> = Promise.resolve();
    const evalsha = vi.spyOn(client, "evalsha").mockImplementation(async (...args: unknown[]) => {
      if (isFrozen || !String(args[3]).endsWith(":lock")) return await run(...args);
      isFrozen = true;
      await awake.opened;
      written = run(...args);
      return await written;
    });
    onTestFinished(() => evalsha.mockRestore());
    server.once("rcpt", "550 5.7.1 blocked");
    const { jobs } = await outbox.enqueue(envelope, letter, { key: "daily" });
    const id = jobs[0]?.id ?? "";
    const lock = { lockDuration: 300, stalledInterval: 100 };
    // It does not renew its lock, as a frozen one.
    const frozen = await outbox.work({ concurrency: 1, closeTimeout: 1, worker: { ...lock, lockRenewTime: 1e6 } });
    await until(async () => isFrozen);
    const other = await outbox.work({ concurrency: 1, worker: { ...lock, lockRenewTime: 100 } });
    await server.next();
    await until(async () => (await queue.getJobState(id)) === "completed");
    await (await queue.getJob(id))?.remove();
    await outbox.enqueue(envelope, letter, { key: "daily", deliverAt: new Date(Date.now() + 60_000) });
    const before: unknown = (await queue.getJob(id))?.data;
    awake.open();
    await until(async () => (await written.catch(() => 0)) === 0);
    expect((await queue.getJob(id))?.data).toEqual(before);
    expect(await outbox.deadLetters()).toEqual([]);
    await Promise.all([frozen.close(), other.close()]);
  });

  it("changes no other message where a dead letter is discarded or redriven late", async () => {
    const { outbox, queue, server } = opened();
    for (const late of ["discard", "redrive"] as const) {
      server.once("rcpt", "550 5.1.1 no such user");
      const { jobs } = await outbox.enqueue(envelope, letter, { key: late });
      const id = jobs[0]?.id ?? "";
      const worker = await outbox.work();
      await until(async () => (await outbox.deadLetters()).length === 1);
      await worker.close();
      const client = Object(await queue.getBackend().client);
      const run = client.evalsha.bind(client);
      const awake = gate();
      const frozen = gate();
      const evalsha = vi.spyOn(client, "evalsha").mockImplementation(async (...args: unknown[]) => {
        if (String(args[3]).endsWith(":failed")) {
          frozen.open();
          await awake.opened;
        }
        return await run(...args);
      });
      const call = failureOf(outbox[late](id));
      await frozen.opened;
      await (await queue.getJob(id))?.remove();
      await outbox.enqueue(envelope, letter, { key: late, deliverAt: new Date(Date.now() + 60_000) });
      const before: unknown = (await queue.getJob(id))?.data;
      awake.open();
      expect(String(await call)).toContain("is no dead letter");
      expect((await queue.getJob(id))?.data).toEqual(before);
      evalsha.mockRestore();
    }
  });

  it("redrives a dead letter once for each time that it is one, though two do so at once", async () => {
    const { outbox, queue, server } = opened();
    server.once("rcpt", "550 5.1.1 no such user");
    server.once("rcpt", "550 5.1.1 no such user");
    const { jobs } = await outbox.enqueue(envelope, letter);
    const id = jobs[0]?.id ?? "";
    const worker = await outbox.work();
    await until(async () => (await outbox.deadLetters()).length === 1);
    const client = Object(await queue.getBackend().client);
    const run = client.evalsha.bind(client);
    const awake = gate();
    const frozen = gate();
    const evalsha = vi.spyOn(client, "evalsha").mockImplementationOnce(async (...args: unknown[]) => {
      frozen.open();
      await awake.opened;
      return await run(...args);
    });
    onTestFinished(() => evalsha.mockRestore());
    const late = failureOf(outbox.redrive(id));
    await frozen.opened;
    await outbox.redrive(id);
    // It is one again.
    await until(async () => Object((await queue.getJob(id))?.data).state.over === "give-up");
    await until(async () => (await outbox.deadLetters()).length === 1);
    awake.open();
    expect(String(await late)).toContain("is no dead letter");
    expect(server.messages).toHaveLength(0);
    expect(Object((await queue.getJob(id))?.data).state.redrives).toBe(1);
    await worker.close();
  });

  it("works on BullMQ's adapters of other clients, which name their scripts", async () => {
    const { queue, server } = opened();
    const client = Object(await queue.getBackend().client);
    const adapter = {
      status: "ready",
      defineCommand: client.defineCommand.bind(client),
      runCommand: (name: string, args: unknown[]) => client[name](...args),
    };
    const backend = Object.create(queue.getBackend(), { client: { value: Promise.resolve(adapter) } });
    const adapted = Object.create(queue, { getBackend: { value: () => backend } });
    const connect = () => ({ host: "mail.example.com", transport: server.transport });
    const outbox = bullmqOutbox(adapted, { connect, policy: { first: 0.05, jitter: 0 } });
    server.once("message", "451 4.3.0 later");
    await outbox.enqueue(envelope, letter);
    const worker = await outbox.work();
    await server.next();
    await worker.close();
  });

  it("listens to a queue once, however many outboxes it has", async () => {
    const { queue } = opened();
    const backend = queue.getBackend();
    const before = backend.listenerCount("error");
    for (let more = 0; more < 12; more++) bullmqOutbox(queue, { connect: () => ({ host: "mail.example.com" }) });
    expect(backend.listenerCount("error")).toBe(before);
  });

  it.each(["autorun", "prefix"])(
    "refuses the option worker.%s, which would make the worker another one",
    async (name) => {
      const { outbox } = opened();
      await expect(outbox.work({ worker: { [name]: false } })).rejects.toThrow(`options.worker.${name}`);
    },
  );

  it("starts no worker while Redis is gone, says why, and leaves none behind", async () => {
    const { outbox, queue } = opened({}, 0.3);
    await queue.waitUntilReady();
    await service.kill();
    const stop = new AbortController();
    const [late, stopped] = [failureOf(outbox.work()), failureOf(outbox.work({ signal: stop.signal }))];
    stop.abort(new Error("enough"));
    expect(await stopped).toBe(stop.signal.reason);
    const error = await late;
    expect(error).toBeInstanceOf(OutboxUnavailableError);
    expect(error).toMatchObject({ cause: { message: expect.stringContaining("ECONNREFUSED") } });
    await service.start();
    await until(() =>
      outbox.enqueue(envelope, letter, { key: "waits" }).then(
        () => true,
        () => false,
      ),
    );
    // The time that BullMQ needs to connect again.
    await new Promise((resolve) => setTimeout(resolve, 1500));
    expect(await queue.getJobCounts("waiting", "active", "completed")).toEqual({ waiting: 1, active: 0, completed: 0 });
  }, 60_000);

  it("says what Redis says against a password, but not the password", async () => {
    const admin = new Redis(service.port, "127.0.0.1");
    await admin.config("SET", "requirepass", "right");
    onTestFinished(async () => {
      await admin.config("SET", "requirepass", "");
      admin.disconnect();
    });
    const { outbox } = opened({ password: "s3cret" });
    for (const failure of [failureOf(outbox.enqueue(envelope, letter)), failureOf(outbox.work())]) {
      const error = await failure;
      expect(error).toBeInstanceOf(OutboxUnavailableError);
      expect(error).toMatchObject({ cause: { message: expect.stringContaining("WRONGPASS") } });
      expect(inspect(error, { depth: 10, showHidden: true })).not.toContain("s3cret");
    }
  });

  it("waits for a connection that is not there yet", async () => {
    const { outbox, queue } = opened({}, 5);
    expect((await outbox.enqueue(envelope, letter)).jobs).toMatchObject([{ added: true }]);
    expect(await queue.getWaitingCount()).toBe(1);
  });
});
