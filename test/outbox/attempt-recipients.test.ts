/** The state of each recipient after an attempt: those that have the message, those that are left, and their replies. */
import { expect, it } from "vitest";
import { noteRefusal } from "../../src/core/refused-command.ts";
import { makeReply } from "../../src/core/reply.ts";
import {
  type Delivery,
  type DeliveryRequest,
  SMTPDataError,
  SMTPRecipientsRefused,
  SMTPServerDisconnected,
} from "../../src/index.ts";
import { recipientsLeft, ticketKey } from "../../src/outbox/message.ts";
import { resolveTicket } from "../../src/outbox/resolve.ts";
import { Life, lastOf, message, World } from "./lives.ts";
import { OneMessageQueue } from "./memory-store.ts";

it("sends a message again by LMTP only to those of whom nobody knows", async () => {
  const commands: string[] = [];
  const recipients = ["a", "b", "c"].map((name) => ({ address: `${name}@example.net` }));
  const deliver = async ({ to, body }: DeliveryRequest): Promise<Delivery> => {
    await lastOf(body);
    commands.push(to.map((one) => (typeof one === "string" ? one : one.address)).join());
    if (commands.length > 1) return { accepted: [], refused: {}, reply: makeReply(250, ["ok"]), replies: [] };
    const error = new SMTPServerDisconnected("lost", { delivery: "unknown" });
    error.accepted = ["a@example.net"];
    error.refused = { "c@example.net": makeReply(450, ["busy"]) };
    throw error;
  };
  const world = new World();
  const queue = new OneMessageQueue(message({ to: recipients }));
  const options = { connect: () => ({ deliver, close: async () => {} }), policy: { unknown: "retry" } } as const;
  for (let run = 0; run < 2; run++) await world.run(queue, world.worker(new Life(undefined), options));
  await world.close();
  expect(commands).toEqual(["a@example.net,b@example.net,c@example.net", "b@example.net,c@example.net"]);
});

it("sends a message that a person found not to be delivered only to those who have no copy yet (LMTP)", async () => {
  const asked: string[] = [];
  const deliver = async ({ to, body }: DeliveryRequest): Promise<Delivery> => {
    await lastOf(body);
    asked.push(to.map((one) => (typeof one === "string" ? one : one.address)).join());
    // The ticket goes with a refusal; what it knew must not.
    if (asked.length === 1) throw new SMTPDataError(451, "later", { delivery: "rejected" });
    return { accepted: [], refused: {}, reply: makeReply(250, ["ok"]), replies: [] };
  };
  const world = new World();
  const to = [{ address: "a@example.net" }, { address: "b@example.net" }];
  const queue = new OneMessageQueue(message({ to }));
  const answer = { outcome: "unknown", text: "", refused: [], accepted: ["a@example.net"] } as const;
  world.shared.entries.set(ticketKey(queue.message), { token: "dead", at: 0, answer, awaited: false });
  const { message: resolved } = await resolveTicket(world.shared.store(), queue.message, "not-delivered");
  expect(recipientsLeft(resolved)).toEqual([{ address: "b@example.net" }]);
  const options = { connect: () => ({ deliver, close: async () => {} }) };
  while (queue.ended === undefined) {
    const { message, lock } = queue.fetch();
    const before = asked.length;
    const conclusion = await world.worker(new Life(undefined), options).run(message);
    // The worker of the refusal dies before its state is written.
    if (before > 0 || asked.length === 0) queue.conclude(lock, message, conclusion);
  }
  await world.close();
  expect(queue.ended).toBe("done");
  expect(asked).toEqual(["b@example.net", "b@example.net"]);
});

it("counts no attempt while a server takes a message in parts", async () => {
  const replies = [makeReply(452, ["4.5.3 too many recipients"]), makeReply(450, ["4.2.0 busy"])];
  const deliver = async ({ body }: DeliveryRequest): Promise<Delivery> => {
    await lastOf(body);
    const [reply] = replies.splice(0, 1);
    const refused = reply === undefined ? {} : { "b@example.net": reply };
    return { accepted: ["a@example.net"], refused, reply: makeReply(250, ["ok"]), replies: [] };
  };
  const world = new World();
  const queue = new OneMessageQueue(message({ to: [{ address: "a@example.net" }, { address: "b@example.net" }] }));
  const options = { connect: () => ({ deliver, close: async () => {} }) };
  const attempts: number[] = [];
  while (queue.ended === undefined) {
    await world.run(queue, world.worker(new Life(undefined), options));
    attempts.push(queue.message.state.attempts);
  }
  await world.close();
  expect(attempts).toEqual([0, 1, 2]);
});

it("says by the last reply why a recipient is given up, also one that was put off before", async () => {
  const refusals = [
    new SMTPRecipientsRefused({ "charles@example.net": makeReply(450, ["4.7.1 greylisted"]) }),
    new SMTPDataError(554, "5.7.1 spam", { delivery: "rejected" }),
  ];
  const deliver = (): Promise<Delivery> => Promise.reject(refusals.shift());
  const world = new World();
  const queue = new OneMessageQueue(message());
  const options = { connect: () => ({ deliver, close: async () => {} }) };
  while (queue.ended === undefined) await world.run(queue, world.worker(new Life(undefined), options));
  await world.close();
  expect(queue.message.state.failed).toEqual([["charles@example.net", { code: 554, text: "5.7.1 spam" }]]);
});

it.each([
  { command: "RCPT", code: 552, action: "retry" },
  { command: ".", code: 552, action: "done" },
])("takes $code to $command for what it means, also in LMTP: $action", async ({ command, code, action }) => {
  const reply = makeReply(code, ["no room"]);
  noteRefusal(reply, command);
  const deliver = async ({ body }: DeliveryRequest): Promise<Delivery> => {
    await lastOf(body);
    const refused = { "b@example.net": reply };
    return { accepted: ["a@example.net"], refused, reply: makeReply(250, ["ok"]), replies: [] };
  };
  const world = new World();
  const queue = new OneMessageQueue(message({ to: [{ address: "a@example.net" }, { address: "b@example.net" }] }));
  await world.run(queue, world.worker(new Life(undefined), { connect: () => ({ deliver, close: async () => {} }) }));
  await world.close();
  expect(queue.action).toBe(action);
});
