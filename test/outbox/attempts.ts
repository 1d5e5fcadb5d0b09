/** Attempts: delivery, refusals, unknown outcomes and budgets. The same tests for BullMQ and pg-boss. */
import { expect, it } from "vitest";
import type { HeldMessage } from "../../src/outbox/index.ts";
import { MemoryTickets } from "./memory-store.ts";
import { envelope, letter, type OutboxContext } from "./outbox-context.ts";
import { theOne, until } from "./until.ts";

export function testAttempts(context: OutboxContext): void {
  const { opened } = context;

  it("goes on, whatever characters a server's reply or a body has", async () => {
    const { server, outbox, work } = await opened({
      rcpt: ({ address }) => (address === "gone@example.net" ? "550 5.1.1 no such\0 user" : undefined),
      message: "250 2.0.0 taken\0 as 1",
    });
    const { jobs } = await outbox.enqueue(envelope, `${letter}a\0b\r\n`);
    await outbox.enqueue({ ...envelope, to: ["gone@example.net"] }, letter);
    await work();
    expect((await server.next()).text).toContain("a\0b");
    const dead = await until(
      () => outbox.deadLetters(),
      ({ length }) => length === 1,
    );
    expect(dead[0]?.why).toContain("no such\\x00 user");
    await until(
      () => context.queues.waits(jobs[0]?.id ?? ""),
      (waits) => !waits,
    );
    expect(server.messages).toHaveLength(1);
  });

  it("tries the recipients that are left, by the same Message-ID, until the last has it", async () => {
    let refusals = 2;
    const { server, outbox, work } = await opened({
      rcpt: ({ address }) => (address === "b@example.net" && refusals-- > 0 ? "450 4.2.0 greylisted" : undefined),
    });
    const { messageId } = await outbox.enqueue({ ...envelope, to: ["a@example.net", "b@example.net"] }, letter);
    await work();
    const messages = [await server.next(), await server.next()];
    expect(messages.map(({ to }) => to)).toEqual([["a@example.net"], ["b@example.net"]]);
    expect(messages.every(({ text }) => text.includes(messageId))).toBe(true);
  });

  it("holds a message whose reply was lost, and sends it again only when a person says that it did not arrive", async () => {
    const { server, outbox, work } = await opened();
    server.once("message", { end: "close" });
    await outbox.enqueue(envelope, letter);
    await work();
    const held = await theOne(() => outbox.held());
    expect(held).toMatchObject({ reason: "lost" });
    expect(server.messages).toHaveLength(1);
    await server.next();
    await outbox.resolve(held.id, "not-delivered");
    await server.next();
    expect(await outbox.held()).toEqual([]);
  });

  it("is done with a held message when a person says that it arrived", async () => {
    const { server, outbox, work } = await opened();
    server.once("message", { end: "close" });
    const { jobs } = await outbox.enqueue(envelope, letter);
    const id = jobs[0]?.id ?? "";
    await work();
    await theOne(() => outbox.held());
    await outbox.resolve(id, "delivered");
    await until(
      () => context.queues.waits(id),
      (waits) => !waits,
    );
    expect(server.messages).toHaveLength(1);
  });

  it("lists no message as held that was delivered, though a worker died before it wrote down that it is held", async () => {
    const shared = new MemoryTickets();
    const store = shared.store();
    let dies = true;
    const held = {
      ...store.held,
      add: async (one: HeldMessage) => {
        await store.held.add(one);
        if (dies) throw new Error("the worker died");
      },
    };
    const { server, outbox, work } = await opened({}, { store: { ...store, held } });
    server.once("message", { end: "close" });
    const { jobs } = await outbox.enqueue(envelope, letter);
    const id = jobs[0]?.id ?? "";
    await work();
    await theOne(() => outbox.held());
    dies = false;
    const [[key, ticket] = ["", undefined]] = shared.entries;
    await store.tickets.answer(key, ticket?.token ?? "", {
      ...{ outcome: "delivered", code: 250, text: "found", refused: [] },
    });
    await until(
      () => context.queues.waits(id),
      (waits) => !waits,
    );
    await until(
      () => outbox.held(),
      ({ length }) => length === 0,
    );
    expect(server.messages).toHaveLength(1);
  }, 30_000);

  it("sends for a tenant no more at a time than its budget has, by all workers together", async () => {
    let now = 0;
    let most = 0;
    const { server, outbox, work } = await opened(
      {
        message: async () => {
          now--;
          return undefined;
        },
        data: () => {
          most = Math.max(most, ++now);
          return undefined;
        },
        bdat: () => {
          most = Math.max(most, ++now);
          return undefined;
        },
      },
      { budgets: { tenant: () => ({ concurrent: 1 }) } },
    );
    await Promise.all(Array.from({ length: 4 }, () => outbox.enqueue(envelope, letter, { tenant: "a" })));
    await Promise.all([work(), work()]);
    for (let count = 0; count < 4; count++) await server.next();
    expect(most).toBeLessThanOrEqual(1);
  });

  it("keeps the recipients that were not answered before a server closed the session", async () => {
    let closes = true;
    const { server, outbox, work } = await opened({
      rcpt: ({ address }) => {
        if (!closes || address === "ada@example.net") return address === "ada@example.net" ? "550 5.1.1 no" : undefined;
        closes = false;
        return "421 4.3.2 shutting down";
      },
    });
    await outbox.enqueue({ ...envelope, to: ["ada@example.net", "b@example.net", "c@example.net"] }, letter);
    await work();
    expect((await server.next()).to).toEqual(["b@example.net", "c@example.net"]);
  });

  it("gives a message up when its time is over, not with the attempt after that", async () => {
    const { outbox, work } = await opened({ rcpt: "450 4.2.0 busy" }, { policy: { greylisting: 3600, first: 3600 } });
    await outbox.enqueue(envelope, letter, { expiresAt: new Date(Date.now() + 500) });
    await work();
    await theOne(() => outbox.deadLetters());
  });

  it("goes on at once, and counts no attempt, while the server has room for some recipients only", async () => {
    let taken = 0;
    const { server, outbox, work } = await opened(
      {
        mail: () => {
          taken = 0;
          return undefined;
        },
        rcpt: () => (++taken > 2 ? "452 4.5.3 too many recipients" : undefined),
      },
      { policy: { first: 3600, attempts: 1 } },
    );
    const to = Array.from({ length: 7 }, (_, n) => `r${n}@example.net`);
    await outbox.enqueue({ ...envelope, to }, letter);
    await work();
    const parts = await until(
      async () => server.messages.map((message) => message.to),
      (all) => all.length === 4,
    );
    expect(parts.flat()).toEqual(to);
    expect(await outbox.deadLetters()).toEqual([]);
  });

  it("tries the recipients again who were put off, once the others are found to have a message whose reply was lost", async () => {
    let isFirst = true;
    const { server, outbox, work } = await opened({
      rcpt: ({ address }) => (isFirst && address === "slow@example.net" ? "450 4.2.0 busy" : undefined),
      message: () => {
        if (!isFirst) return undefined;
        isFirst = false;
        return { end: "close" };
      },
    });
    const { jobs } = await outbox.enqueue({ ...envelope, to: ["slow@example.net", "b@example.net"] }, letter);
    await work();
    await theOne(() => outbox.held());
    await outbox.resolve(jobs[0]?.id ?? "", "delivered");
    await until(
      async () => server.messages.at(-1)?.to,
      (to) => to?.join() === "slow@example.net",
    );
  });

  it("refuses to resolve a message that nobody has tried yet", async () => {
    const { outbox } = await opened();
    const { jobs } = await outbox.enqueue(envelope, letter, { deliverAt: new Date(Date.now() + 60_000) });
    await expect(outbox.resolve(jobs[0]?.id ?? "", "delivered")).rejects.toThrow("is not held");
  });

  it("gives up a message when it expires, also one that waits for its time in a budget", async () => {
    const { server, outbox, work } = await opened(
      {},
      { budgets: { destination: () => ({ messages: 1, seconds: 86_400 }) } },
    );
    await outbox.enqueue(envelope, letter);
    await work();
    await server.next();
    await outbox.enqueue(envelope, letter, { expiresAt: new Date(Date.now() + 300) });
    const dead = await theOne(() => outbox.deadLetters());
    expect(dead.why).toContain("in time");
  });

  it("sends a message to others while the mailbox of one is full", async () => {
    const { server, outbox, work } = await opened(
      { rcpt: ({ address }) => (address === "full@example.net" ? "452 4.2.2 mailbox full" : undefined) },
      { policy: { first: 3600 } },
    );
    await outbox.enqueue({ ...envelope, to: ["full@example.net"] }, letter);
    await work();
    await until(async () => server.commands.some((command) => command.includes("full@")));
    await outbox.enqueue(envelope, letter);
    expect(await server.next()).toMatchObject({ to: envelope.to });
  });
}
