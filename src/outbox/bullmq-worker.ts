/** A worker of BullMQ, and its end. */

/** A job of BullMQ, as far as it is used. */
export type BullJob = {
  readonly id?: string | undefined;
  data: unknown;
  readonly failedReason?: string | undefined;
  updateData(data: object): Promise<void>;
  updateProgress(progress: object): Promise<void>;
  extendLock(token: string, duration: number): Promise<number>;
  moveToDelayed(timestamp: number, token?: string): Promise<void>;
  promote(): Promise<void>;
  retry(state?: "failed"): Promise<void>;
  remove(): Promise<void>;
  isFailed(): Promise<boolean>;
};

/** A `Worker` of BullMQ, as far as it is used. */
export type BullWorker = {
  on(event: "error", listener: (error: unknown) => void): unknown;
  on(event: "completed", listener: (job: BullJob) => void): unknown;
  waitUntilReady(): Promise<unknown>;
  getBackend(): unknown;
  close(force?: boolean): Promise<void>;
};

type Bullmq = {
  readonly Worker: new (
    name: string,
    handle: (job: BullJob, token?: string) => Promise<object>,
    options: object,
  ) => BullWorker;
  readonly DelayedError: new () => Error;
  readonly UnrecoverableError: new (message: string) => Error;
};

/** Loads BullMQ. @throws {Error} if it is not installed */
export async function loadBullmq(): Promise<Bullmq> {
  try {
    const module: unknown = await import("bullmq");
    if (isBullmq(module)) return module;
  } catch (cause) {
    throw new Error("the worker needs BullMQ: npm install bullmq ioredis", { cause });
  }
  throw new Error("this BullMQ has no Worker");
}

function isBullmq(module: unknown): module is Bullmq {
  return typeof module === "object" && module !== null && "Worker" in module && "DelayedError" in module;
}

/** A client of Redis, as far as it is used. */
type Client = {
  readonly status: string;
  on(event: string, listener: () => void): unknown;
  off(event: string, listener: () => void): unknown;
  disconnect(): void;
};

/** The states of an ioredis client that is neither connecting nor disconnecting. */
const SETTLED: readonly string[] = ["ready", "end", "wait"];

/** Ends one of BullMQ's workers. */
export class BullmqWorker {
  readonly #worker: BullWorker;
  readonly #ownsConnection: boolean;
  readonly #last = new Set<Promise<void>>();
  #abort: () => void = () => {};

  /** @param ownsConnection - whether BullMQ has made the worker's connection, so that nothing else uses it */
  constructor(worker: BullWorker, ownsConnection: boolean) {
    this.#worker = worker;
    this.#ownsConnection = ownsConnection;
  }

  /** Lets `close()` wait for the last step of a job that is complete for BullMQ; it must not reject. */
  finish(step: Promise<void>): void {
    const last = step.then(() => void this.#last.delete(last));
    this.#last.add(last);
  }

  /** Fetches nothing more, and resolves when what is under way has ended. */
  async close(): Promise<void> {
    const aborted = new Promise<boolean>((resolve) => {
      this.#abort = () => resolve(true);
    });
    const isForced = await Promise.race([this.#connected(), aborted]);
    await this.#worker.close(isForced);
    if (!isForced) await Promise.all(this.#last);
  }

  /** Ends its timers, which renew the locks of its jobs, and drops its connections, whatever is under way. */
  async abort(): Promise<void> {
    this.#abort();
    call(this.#worker, "stalledCheckStopper");
    call(Reflect.get(this.#worker, "lockManager"), "close");
    const [blocking, client] = await this.#clients();
    blocking?.disconnect();
    if (this.#ownsConnection) client?.disconnect();
  }

  /**
   * Waits while Redis is gone: BullMQ then waits for an event of its blocking connection that ioredis never emits between
   * two attempts to connect, and for the answer to QUIT. Returns false.
   */
  async #connected(): Promise<false> {
    for (const client of await this.#clients()) {
      while (client !== undefined && !SETTLED.includes(client.status)) {
        await nextOf(client, ["ready", "end"]);
      }
    }
    return false;
  }

  /** The worker's connections: that on which it waits for jobs, and the other. */
  async #clients(): Promise<readonly (Client | undefined)[]> {
    const backend = Object(this.#worker.getBackend());
    const found = await Promise.all([Reflect.get(backend, "blockingClient"), Reflect.get(backend, "client")]);
    return found.map((client) => (isClient(client) ? client : undefined));
  }
}

/** Calls a method that BullMQ may have. */
function call(object: unknown, name: string): void {
  const method: unknown = Reflect.get(Object(object), name);
  if (typeof method === "function") Reflect.apply(method, object, []);
}

/** Waits for the next of these events. */
function nextOf(client: Client, events: readonly string[]): Promise<void> {
  return new Promise((resolve) => {
    const happened = (): void => {
      for (const event of events) client.off(event, happened);
      resolve();
    };
    for (const event of events) client.on(event, happened);
  });
}

function isClient(client: unknown): client is Client {
  return (
    typeof client === "object" && client !== null && "status" in client && "off" in client && "disconnect" in client
  );
}
