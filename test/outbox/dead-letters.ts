/** Messages that are given up: dead letters, and reports to the sender. The same tests for BullMQ and pg-boss. */
import { randomUUID } from "node:crypto";
import { expect, it } from "vitest";
import { envelope, letter, type OutboxContext, soon } from "./outbox-context.ts";
import { theOne, until } from "./until.ts";

export function testDeadLetters(context: OutboxContext): void {
  const { opened } = context;

  it("reports to the sender what is given up, once, and keeps it as a dead letter until it is sent again", async () => {
    let refuse = true;
    const { server, outbox, work } = await opened(
      { rcpt: ({ address }) => (refuse && address === "gone@example.net" ? "550 5.1.1 no such user" : undefined) },
      { report: { host: "mail.example.com" } },
    );
    await outbox.enqueue({ ...envelope, to: ["gone@example.net"], envid: "order-17" }, letter);
    await work();
    const report = await server.next();
    expect(report).toMatchObject({ from: "", to: ["ada@example.com"] });
    expect(report.text).toContain("Original-Envelope-Id: order-17");
    expect(report.text).toContain("Final-Recipient: rfc822; gone@example.net");
    expect(report.text).toContain("Diagnostic-Code: smtp; 550 5.1.1 no such user");
    const dead = await until(
      () => outbox.deadLetters(),
      ({ length }) => length === 1,
    );
    expect(dead).toMatchObject([{ to: ["gone@example.net"], attempts: 1, unknown: false }]);
    refuse = false;
    await outbox.redrive(dead[0]?.id ?? "");
    expect(await server.next()).toMatchObject({ to: ["gone@example.net"] });
    expect(server.messages).toHaveLength(2);
    expect(await outbox.deadLetters()).toEqual([]);
  });

  it("reports nothing to a null reverse path, nor where NOTIFY forbids it", async () => {
    const { server, outbox, work } = await opened(
      { rcpt: ({ address }) => (address === "gone@example.net" ? "550 5.1.1 no such user" : undefined) },
      { report: { host: "mail.example.com" } },
    );
    await outbox.enqueue({ from: "", to: ["gone@example.net"] }, letter);
    await outbox.enqueue({ ...envelope, to: [{ address: "gone@example.net", notify: ["NEVER"] }] }, letter);
    await work();
    await until(
      () => outbox.deadLetters(),
      ({ length }) => length === 2,
    );
    expect(server.messages).toHaveLength(0);
  });

  it("makes a dead letter of a held message whose time is over, and sends it again only after a person has decided", async () => {
    const { server, outbox, work } = await opened({}, { report: { host: "mail.example.com" } });
    server.once("message", { end: "close" });
    await work();
    await outbox.enqueue(envelope, letter, { expiresAt: new Date(Date.now() + 2000) });
    const dead = await theOne(() => outbox.deadLetters());
    expect(dead).toMatchObject({ unknown: true, why: expect.stringContaining("unknown") });
    // No report about an unknown outcome.
    expect(server.messages).toHaveLength(1);
    const id = dead.id;
    await expect(outbox.redrive(id)).rejects.toThrow("unknown");
    await outbox.resolve(id, "not-delivered");
    await server.next();
    await outbox.redrive(id);
    await server.next();
    expect(server.messages).toHaveLength(2);
  });

  it("names the recipients that were given up in a dead letter, each with its own last reply", async () => {
    const { outbox, work } = await opened(
      { rcpt: ({ address }) => (address === "slow@example.net" ? "450 4.2.0 busy" : "550 5.1.1 no such user") },
      { policy: { ...soon, attempts: 2 } },
    );
    await outbox.enqueue({ ...envelope, to: ["slow@example.net", "gone@example.net"] }, letter);
    await work();
    const letterOf = await theOne(() => outbox.deadLetters());
    expect(Object.fromEntries(letterOf.failed)).toEqual({
      "gone@example.net": { code: 550, text: "5.1.1 no such user" },
      "slow@example.net": { code: 450, text: "4.2.0 busy" },
    });
  });

  it("tells the sender of each recipient that is given up, once each time", async () => {
    const replies = new Map([
      ["slow@example.net", "450 4.2.0 busy"],
      ["gone@example.net", "550 5.1.1 no"],
    ]);
    const { server, outbox, work } = await opened(
      { rcpt: ({ address = "" }) => replies.get(address) },
      { policy: { ...soon, attempts: 2 }, report: { host: "mail.example.com" } },
    );
    await outbox.enqueue({ ...envelope, to: ["slow@example.net", "gone@example.net"] }, letter);
    await work();
    const [first, second] = [await server.next(), await server.next()];
    expect(first.text).toContain("Final-Recipient: rfc822; gone@example.net");
    expect(second.text).toContain("Final-Recipient: rfc822; slow@example.net");
    expect(second.text).not.toContain("gone@example.net>: 550");
    const dead = await theOne(() => outbox.deadLetters());
    await outbox.redrive(dead.id);
    expect((await server.next()).text).toContain("Final-Recipient: rfc822; gone@example.net");
    expect((await server.next()).text).toContain("Final-Recipient: rfc822; slow@example.net");
  });

  it("goes on with a dead letter that is found delivered, for the recipients that were refused before", async () => {
    const replies = new Map([
      ["busy@example.net", "450 4.2.0 busy"],
      ["gone@example.net", "550 5.1.1 no"],
    ]);
    const { server, outbox, work } = await opened(
      {
        rcpt: ({ address = "" }) => replies.get(address),
        message: ({ message }) => (message?.from === "" ? undefined : { end: "close" }),
      },
      { report: { host: "mail.example.com" } },
    );
    const to = ["b@example.net", "busy@example.net", "gone@example.net"];
    const { jobs } = await outbox.enqueue({ ...envelope, to }, letter, { expiresAt: new Date(Date.now() + 1500) });
    await work();
    const dead = await theOne(() => outbox.deadLetters());
    expect(dead.unknown).toBe(true);
    await outbox.resolve(jobs[0]?.id ?? "", "delivered");
    const texts = async (): Promise<string> => server.messages.map(({ text }) => text).join();
    await until(texts, (text) => text.includes("busy@example.net>: 450") && text.includes("gone@example.net>: 550"));
  });

  it("sends a dead letter again to all who have not got it, whenever they were refused", async () => {
    const { server, outbox, work } = await opened(
      { rcpt: ({ address }) => (address === "gone@example.net" ? "550 5.1.1 no" : "450 4.2.0 busy") },
      { policy: { ...soon, attempts: 2 } },
    );
    await outbox.enqueue({ ...envelope, to: ["gone@example.net", "busy@example.net"] }, letter);
    await work();
    const dead = await theOne(() => outbox.deadLetters());
    server.once("rcpt", "250 2.1.5 ok");
    server.once("rcpt", "250 2.1.5 ok");
    await outbox.redrive(dead.id);
    expect((await server.next()).to.toSorted()).toEqual(["busy@example.net", "gone@example.net"]);
  });

  it("has the key of a dead letter that is discarded free again", async () => {
    const { server, outbox, work } = await opened();
    server.once("rcpt", "550 5.1.1 no such user");
    await outbox.enqueue(envelope, letter, { key: "order-17" });
    await work();
    const dead = await theOne(() => outbox.deadLetters());
    expect(await outbox.enqueue(envelope, letter, { key: "order-17" })).toMatchObject({ jobs: [{ added: false }] });
    await outbox.discard(dead.id);
    expect(await outbox.enqueue(envelope, letter, { key: "order-17" })).toMatchObject({ jobs: [{ added: true }] });
    await server.next();
  });

  it("is rid of a dead letter that a person found to be delivered, or discards", async () => {
    const { server, outbox, work } = await opened({ rcpt: "550 5.1.1 no such user" });
    await outbox.enqueue(envelope, letter);
    await outbox.enqueue(envelope, letter);
    await work();
    const [one, two] = await until(
      () => outbox.deadLetters(),
      ({ length }) => length === 2,
    );
    await outbox.discard(one?.id ?? "");
    await outbox.resolve(two?.id ?? "", "delivered");
    expect(await outbox.deadLetters()).toEqual([]);
    await expect(outbox.discard(one?.id ?? "")).rejects.toThrow();
    await expect(outbox.redrive(randomUUID())).rejects.toThrow("there is no");
    await expect(outbox.resolve(randomUUID(), "delivered")).rejects.toThrow("there is no");
    await expect(outbox.discard("order-17")).rejects.toThrow("there is no");
    await expect(outbox.redrive("order-17")).rejects.toThrow("there is no");
    await expect(outbox.resolve("order-17", "delivered")).rejects.toThrow("there is no");
    expect(server.messages).toHaveLength(0);
  });

  it("says what a message failed for at once, where no server gave a reply", async () => {
    const { server, outbox, work } = await opened({}, { report: { host: "mail.example.com" } }, ["SIZE 5000"]);
    await outbox.enqueue(envelope, `${letter}${"x".repeat(70)}\r\n`.repeat(100));
    await work();
    const report = await server.next();
    expect(report.text).toContain("Status: 5.3.4");
    expect(report.text).toMatch(/Diagnostic-Code: smtp; 554 5\.3\.4 the message has \d+ octets/);
    // On BullMQ the report is queued before the job ends.
    const dead = await theOne(() => outbox.deadLetters());
    expect(dead.failed).toMatchObject([["charles@example.net", { code: 554 }]]);
  });

  it("sends other messages while the body of a report cannot be stored, and the report once it can", async () => {
    let isFull = false;
    const kept = new Map<string, Uint8Array>();
    const bodies = {
      put: async (name: string, body: Uint8Array) => {
        if (isFull) throw new Error("the disk is full");
        kept.set(name, body);
      },
      get: async (name: string) => kept.get(name),
      delete: async (name: string) => kept.delete(name),
    };
    const { server, outbox, work } = await opened(
      { rcpt: ({ address }) => (address === "gone@example.net" ? "550 5.1.1 no such user" : undefined) },
      { bodies, inline: 400, report: { host: "mail.example.com" } },
    );
    const worker = await work({ concurrency: 1 });
    isFull = true;
    await outbox.enqueue({ ...envelope, to: ["gone@example.net"] }, letter);
    await outbox.enqueue(envelope, letter);
    expect(await server.next()).toMatchObject({ to: envelope.to });
    isFull = false;
    expect(await server.next()).toMatchObject({ from: "", to: [envelope.from] });
    await worker.close();
    expect(await outbox.deadLetters()).toMatchObject([{ why: expect.stringContaining("550 5.1.1 no such user") }]);
    expect(kept.size).toBe(0);
  }, 30_000);

  it("gives up what is not delivered in time, and says by which reply", async () => {
    const { server, outbox, work } = await opened(
      { rcpt: ({ address }) => (address === "slow@example.net" ? "451 4.7.1 come back later" : undefined) },
      { report: { host: "mail.example.com", from: "postmaster@mail.example.com" } },
    );
    await work();
    await outbox.enqueue({ ...envelope, to: ["slow@example.net"] }, letter, { expiresAt: new Date(Date.now() + 2000) });
    const report = await server.next();
    expect(report.text).toContain("Diagnostic-Code: smtp; 451 4.7.1 come back later");
    expect(report.text).toContain("postmaster@mail.example.com");
  });
}
