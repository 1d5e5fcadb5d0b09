/**
 * If the runtime has another module in place of the diagnostics channels, messages are still sent and queued.
 * @isolated The modules look for the channels when they are loaded.
 */
import { afterAll, beforeAll, expect, it } from "vitest";
import { SMTP } from "../../src/index.ts";
import { outboxSettings } from "../../src/outbox/options.ts";
import { Outbox } from "../../src/outbox/outbox.ts";
import { FakeServer } from "../client/fake-server.ts";
import { MemoryTickets } from "../outbox/memory-store.ts";

const { getBuiltinModule } = process;

beforeAll(() => {
  Reflect.set(process, "getBuiltinModule", () => ({}));
});

afterAll(() => {
  Reflect.set(process, "getBuiltinModule", getBuiltinModule);
});

it("a session sends its messages", async () => {
  const { transport } = new FakeServer();
  const smtp = await SMTP.connect("mail.example.com", 25, { transport });
  expect(await smtp.sendmail("ada@example.com", "charles@example.net", "Hi!\n")).toEqual({});
  await smtp.quit();
});

it("an outbox queues its messages", async () => {
  const outbox = new Outbox(
    outboxSettings({ connect: () => ({ host: "mail.example.com" }) }),
    new MemoryTickets().store(),
    "mail",
  );
  const envelope = { from: "ada@example.com", to: ["charles@example.net"] };
  const { jobs } = await outbox.enqueue(
    envelope,
    "Subject: Hello\n\nHi!\n",
    {},
    {
      known: async () => new Map(),
      add: async () => new Map(),
    },
  );
  expect(jobs).toMatchObject([{ destination: "relay", added: true }]);
});
