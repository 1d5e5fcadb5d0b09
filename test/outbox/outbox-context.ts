/** An outbox on a real queue, for the tests that are the same for BullMQ on Redis and for pg-boss on PostgreSQL. */
import { afterAll, afterEach, beforeAll, onTestFinished } from "vitest";
import { SMTPPool } from "../../src/index.ts";
import { OutboxUnavailableError, type OutboxWorker, type WorkOptions } from "../../src/outbox/index.ts";
import { type Answers, startServer, type TestServer } from "../../src/testing/index.ts";
import { type AnyOptions, type AnyOutbox, connectQueues, type QueueName, type Queues } from "./queues.ts";
import type { Service } from "./services.ts";
import { until } from "./until.ts";

export const letter = "Subject: Hello\r\n\r\nHi!\r\n";
export const envelope = { from: "ada@example.com", to: ["charles@example.net"] };
/** Delays that are short enough for tests. */
export const soon = { first: 0.05, greylisting: 0.05, jitter: 0, longest: 0.1 };

/** A server, an outbox that sends to it, and its workers, which end with the test. */
export type Opened = {
  readonly server: TestServer;
  readonly outbox: AnyOutbox;
  readonly work: (options?: WorkOptions) => Promise<OutboxWorker>;
};

/** The queue's server and its queues, for the tests of one file. */
export type OutboxContext = {
  readonly service: Service;
  readonly queues: Queues;
  /** @param extensions - what the server offers; undefined: the usual ones */
  readonly opened: (
    answers?: Answers,
    options?: Partial<AnyOptions>,
    extensions?: readonly string[],
  ) => Promise<Opened>;
};

/** Starts the queue's server for the tests of this file. */
export function outboxContext(name: QueueName, start: () => Promise<Service>): OutboxContext {
  let service: Service;
  let queues: Queues;
  const workers: OutboxWorker[] = [];

  beforeAll(async () => {
    service = await start();
    queues = await connectQueues(name, service.port);
  }, 120_000);
  afterEach(async () => {
    await Promise.all(workers.splice(0).map((worker) => worker.close()));
  });
  afterAll(async () => {
    await queues?.close();
    await service?.close();
  });

  const opened: OutboxContext["opened"] = async (answers = {}, options = {}, extensions = undefined) => {
    const server = startServer({ answers, ...(extensions && { extensions }) });
    onTestFinished(() => server.close());
    const connect = (): SMTPPool =>
      new SMTPPool({ host: "mail.example.com", transport: server.transport, reconnectFor: 0 });
    const outbox = await queues.open({ connect, policy: soon, ...options });
    const work = async (options: WorkOptions = {}): Promise<OutboxWorker> => {
      // A worker that starts together with its server is refused; a supervisor would start it again.
      const start = () => outbox.work({ concurrency: 5, ...options }).catch(unlessAway);
      const worker = await until(start, (started) => started !== undefined);
      if (worker === undefined) throw new Error("there is no worker");
      workers.push(worker);
      return worker;
    };
    return { server, outbox, work };
  };
  return {
    opened,
    get service() {
      return service;
    },
    get queues() {
      return queues;
    },
  };
}

/** Returns undefined if the queue is unavailable. @throws any other error */
function unlessAway(error: unknown): undefined {
  if (!(error instanceof OutboxUnavailableError)) throw error;
}

/** Waits for so many milliseconds. */
export function wait(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

/** Waits long enough for each client to notice the end of its server, and to try again. */
export function gone(): Promise<void> {
  return wait(250);
}
