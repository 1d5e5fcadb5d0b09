/** The end of workers, also while the queue is gone. The same tests for BullMQ and pg-boss. */
import { expect, it } from "vitest";
import { envelope, gone, letter, type OutboxContext } from "./outbox-context.ts";
import { until } from "./until.ts";

export function testEnds(context: OutboxContext): void {
  const { opened } = context;

  it("puts back what has not passed the point of no return when the worker closes, and finishes the rest", async () => {
    const reached: string[] = [];
    let release = (): void => {};
    const released = new Promise<void>((resolve) => {
      release = resolve;
    });
    const { server, outbox, work } = await opened({
      rcpt: async ({ address }) => {
        if (address === "early@example.net" && !reached.includes("early")) {
          reached.push("early");
          await released;
        }
        return undefined;
      },
      message: async () => {
        if (reached.includes("late")) return undefined;
        reached.push("late");
        await released;
        return undefined;
      },
    });
    await outbox.enqueue({ ...envelope, to: ["late@example.net"] }, letter);
    const worker = await work();
    await until(
      async () => reached,
      (list) => list.includes("late"),
    );
    const { jobs } = await outbox.enqueue({ ...envelope, to: ["early@example.net"] }, letter);
    await until(
      async () => reached,
      (list) => list.includes("early"),
    );
    const closed = worker.close();
    release();
    await closed;
    expect(server.messages.map(({ to }) => to[0])).toEqual(["late@example.net"]);
    expect(await context.queues.waits(jobs[0]?.id ?? "")).toBe(true);
    await work();
    await server.next();
    expect(await server.next()).toMatchObject({ to: ["early@example.net"] });
  });

  it("puts back a message whose destination is never opened when its worker closes", async () => {
    let isAsked = false;
    const connect = (): Promise<never> => {
      isAsked = true;
      return new Promise(() => {});
    };
    const { outbox, work } = await opened({}, { connect });
    const { jobs } = await outbox.enqueue(envelope, letter);
    const worker = await work();
    await until(async () => isAsked);
    await worker.close();
    expect(await context.queues.waits(jobs[0]?.id ?? "")).toBe(true);
  });

  it("closes a worker whose signal is aborted", async () => {
    const { server, outbox } = await opened();
    const stop = new AbortController();
    const worker = await outbox.work({ signal: stop.signal });
    await outbox.enqueue(envelope, letter);
    await server.next();
    stop.abort();
    await worker.close();
    const { jobs } = await outbox.enqueue(envelope, letter);
    expect(await context.queues.waits(jobs[0]?.id ?? "")).toBe(true);
    expect(server.messages).toHaveLength(1);
    await expect(outbox.work({ signal: stop.signal })).rejects.toBe(stop.signal.reason);
  });

  it("closes a worker within closeTimeout while the queue is gone, and another one goes on", async () => {
    const { server, outbox, work } = await opened({}, { timeout: 0.5 });
    const worker = await work({ closeTimeout: 0.3 });
    await outbox.enqueue(envelope, letter, { key: "before" });
    await server.next();
    await context.service.kill();
    await gone();
    await worker.close();
    await context.service.start();
    await work();
    await until(
      () => outbox.enqueue(envelope, letter, { key: "after" }).catch(() => undefined),
      (done) => done !== undefined,
    );
    await server.next();
  }, 120_000);

  it("closes a worker whose sender heeds no signal, and puts back what it was asked to send", async () => {
    let isAsked = false;
    const deaf = {
      deliver: () => {
        isAsked = true;
        return new Promise<never>(() => {});
      },
      close: async () => {},
    };
    const { outbox, work } = await opened({}, { connect: () => deaf });
    const { jobs } = await outbox.enqueue(envelope, letter);
    const worker = await work({ closeTimeout: 0.1 });
    await until(async () => isAsked);
    await worker.close();
    expect(await context.queues.waits(jobs[0]?.id ?? "")).toBe(true);
    expect(await outbox.held()).toEqual([]);
  });

  it("closes a worker when the queue is back", async () => {
    const { server, outbox, work } = await opened({}, { timeout: 0.5 });
    const worker = await work();
    await outbox.enqueue(envelope, letter);
    await server.next();
    await context.service.kill();
    await gone();
    const closed = worker.close();
    await context.service.start();
    await closed;
  }, 120_000);

  it("gives up the reply of a silent server after closeTimeout, and holds the message", async () => {
    let isReached = false;
    const stall = { end: "stall" } as const;
    const { outbox, work } = await opened({
      message: () => {
        isReached = true;
        return stall;
      },
    });
    const { jobs } = await outbox.enqueue(envelope, letter);
    const worker = await work({ closeTimeout: 0.2 });
    await until(async () => isReached);
    await worker.close();
    await work();
    await until(
      () => outbox.held(),
      (held) => held.some(({ id }) => id === jobs[0]?.id),
    );
  }, 60_000);
}
