/** How an attempt uses the server's extensions. */
import { expect, it } from "vitest";
import type { Delivery, DeliveryRequest } from "../../src/index.ts";
import { type Finding, TicketRefusedError } from "../../src/outbox/index.ts";
import { ticketKey } from "../../src/outbox/message.ts";
import { gate } from "../support/gate.ts";
import { type Fate, Life, lastOf, message, World } from "./lives.ts";
import { OneMessageQueue } from "./memory-store.ts";

/** Runs one attempt with a server that offers these extensions. */
async function play(...extensions: string[]): Promise<{ world: World; queue: OneMessageQueue }> {
  const world = new World({}, extensions);
  const queue = new OneMessageQueue(message());
  await world.run(queue, world.worker(new Life(undefined)));
  await world.close();
  return { world, queue };
}

it("declares the size of a message where the server offers SIZE", async () => {
  const { world, queue } = await play("SIZE 1000");
  expect(world.server.commands).toContain("MAIL FROM:<ada@example.com> SIZE=23");
  expect(queue.ended).toBe("done");
});

it("sends a message where the server does not offer SIZE", async () => {
  const { world, queue } = await play();
  expect(world.server.messages).toHaveLength(1);
  expect(queue.ended).toBe("done");
});

it("gives up a message that is larger than the server takes, without sending it", async () => {
  const { world, queue } = await play("SIZE 20");
  expect(world.server.commands.join()).not.toContain("MAIL");
  expect(queue.ended).toBe("give-up");
});

/** Abandons an attempt while its worker waits at a step, which then continues. */
async function givenUpAt(step: string, fate: Fate): Promise<{ world: World; queue: OneMessageQueue }> {
  const counting = new World();
  const life = new Life(undefined);
  await counting.run(new OneMessageQueue(message()), counting.worker(life));
  await counting.close();
  const world = new World();
  const queue = new OneMessageQueue(message());
  const frozen = new Life({ fate, at: life.names.indexOf(step) + 1 });
  const attempts = world.worker(frozen);
  const run = world.run(queue, attempts);
  await frozen.happened;
  await new Promise((resolve) => setTimeout(resolve, 20));
  attempts.abandon();
  frozen.wake();
  await run;
  return { world, queue };
}

it.each<[string, Fate]>([
  ["bodies.get", "freeze-before"],
  ["tickets.take", "freeze-before"],
  ["tickets.take", "freeze-after"],
])("puts back a message that is given up at %s (%s), since its end has not left", async (step, fate) => {
  const { world, queue } = await givenUpAt(step, fate);
  expect(world.server.messages).toHaveLength(0);
  expect(queue.action).toBe("defer");
  await world.run(queue, world.worker(new Life(undefined)));
  await world.close();
  expect(queue.ended).toBe("done");
  expect(world.server.messages).toHaveLength(1);
});

it("holds a message that is given up behind its end", async () => {
  const reached = gate();
  const stall = { end: "stall" } as const;
  const world = new World({
    message: () => {
      reached.open();
      return stall;
    },
  });
  const queue = new OneMessageQueue(message());
  const attempts = world.worker(new Life(undefined));
  const run = world.run(queue, attempts);
  await reached.opened;
  attempts.abandon();
  await run;
  await world.close();
  expect(queue.action).toBe("hold");
});

/** A sender that ignores signals: it reads the body to its end as soon as the test permits it. */
class DeafSender {
  readonly asked = gate();
  readonly mayGo = gate();
  /** How the body ended. */
  readonly read: Promise<"end" | Error>;
  #ended: (how: "end" | Error) => void = () => {};

  constructor() {
    this.read = new Promise((resolve) => {
      this.#ended = resolve;
    });
  }

  async deliver({ body }: DeliveryRequest): Promise<Delivery> {
    this.asked.open();
    await this.mayGo.opened;
    this.#ended(await lastOf(body).catch((error: Error) => error));
    return new Promise(() => {});
  }

  async close(): Promise<void> {}
}

it("ends without a sender that heeds no signal, which gets no end of the message later", async () => {
  const world = new World();
  const queue = new OneMessageQueue(message());
  const sender = new DeafSender();
  const attempts = world.worker(new Life(undefined), { connect: () => sender });
  const run = world.run(queue, attempts);
  await sender.asked.opened;
  attempts.stop();
  attempts.abandon();
  attempts.leave();
  await run;
  expect(queue.action).toBe("defer");
  sender.mayGo.open();
  expect(await sender.read).toBeInstanceOf(TicketRefusedError);
  expect(world.shared.entries.size).toBe(0);
  await world.close();
});

it("holds a message whose sender heeds no signal behind its end", async () => {
  const world = new World();
  const queue = new OneMessageQueue(message());
  const sender = new DeafSender();
  sender.mayGo.open();
  const attempts = world.worker(new Life(undefined), { connect: () => sender });
  const run = world.run(queue, attempts);
  expect(await sender.read).toBe("end");
  attempts.stop();
  attempts.abandon();
  attempts.leave();
  await run;
  await world.close();
  expect(queue.action).toBe("hold");
});

it.each<[string, () => unknown]>([
  ["throws a TypeError", () => Reflect.get(Object(undefined), "host").length],
  ["returns nothing", () => undefined],
  ["returns wrong options", () => ({ host: 5 })],
])("tries a message again whose destination's connect() %s", async (_, connect) => {
  const world = new World();
  const queue = new OneMessageQueue(message());
  const attempts = Reflect.apply(world.worker, world, [new Life(undefined), { connect }]);
  await world.run(queue, attempts);
  await world.close();
  expect(queue.action).toBe("retry");
});

it("holds a message whose sender has a fault behind its end", async () => {
  const world = new World();
  const queue = new OneMessageQueue(message());
  const deliver = async ({ body }: DeliveryRequest): Promise<Delivery> => {
    await lastOf(body);
    return Reflect.get(Object(undefined), "reply").code;
  };
  const attempts = world.worker(new Life(undefined), { connect: () => ({ deliver, close: async () => {} }) });
  await world.run(queue, attempts);
  await world.close();
  expect(queue.action).toBe("hold");
});

it("tries a message again whose pool's transport has a fault", async () => {
  const world = new World();
  const queue = new OneMessageQueue(message());
  const transport = async () => Reflect.get(Object(undefined), "host").length;
  const connect = () => ({ host: "mail.example.com", transport, reconnectFor: 0 });
  await world.run(queue, world.worker(new Life(undefined), { connect }));
  await world.close();
  expect(queue.action).toBe("retry");
});

it.each([{ messages: 0 }, { messages: Number.NaN }, { concurrent: "5" }])(
  "sends nothing by a budget of %o, whose error names it",
  async (budget) => {
    const world = new World();
    const budgets = { destination: () => budget };
    const attempts = Reflect.apply(world.worker, world, [new Life(undefined), { budgets }]);
    await expect(world.run(new OneMessageQueue(message()), attempts)).rejects.toThrow("options.budgets.destination");
    await world.close();
    expect(world.server.commands.join()).not.toContain("MAIL");
  },
);

it("sends a message although an earlier one with its key has a ticket", async () => {
  const world = new World();
  const earlier = message({ nonce: "earlier" });
  const answer = { outcome: "delivered", code: 250, text: "ok", refused: [] } as const;
  world.shared.entries.set(ticketKey(earlier), { token: "dead", at: 0, answer, awaited: false });
  const queue = new OneMessageQueue(message({ nonce: "later" }));
  await world.run(queue, world.worker(new Life(undefined)));
  await world.close();
  expect(world.server.messages).toHaveLength(1);
  expect(queue.ended).toBe("done");
});

it.each(["retry", "ask"] as const)("says of a last attempt by %s that nobody knows", async (unknown) => {
  const world = new World({ message: { end: "close" } });
  const queue = new OneMessageQueue(message());
  const ask = (): Finding => "unknown";
  const options = { policy: { unknown, attempts: 1 }, ask };
  await world.run(queue, world.worker(new Life(undefined), options));
  await world.close();
  expect(queue.ended).toBe("give-up");
  expect(queue.message.state).toMatchObject({ failed: [], held: { reason: "lost" } });
});

it("takes nothing but the words for a finding of ask()", async () => {
  const world = new World();
  const queue = new OneMessageQueue(message());
  const key = ticketKey(queue.message);
  world.shared.entries.set(key, {
    token: "dead",
    at: 0,
    answer: { outcome: "unknown", text: "", refused: [] },
    awaited: false,
  });
  const options = { policy: { unknown: "ask" }, ask: () => true };
  await world.run(queue, Reflect.apply(world.worker, world, [new Life(undefined), options]));
  await world.close();
  expect(queue.action).toBe("hold");
});

const callbackTimeout = 0.02;

it("holds a message about which ask() never answers", async () => {
  const world = new World();
  const queue = new OneMessageQueue(message());
  const answer = { outcome: "unknown", text: "", refused: [] } as const;
  world.shared.entries.set(ticketKey(queue.message), { token: "dead", at: 0, answer, awaited: false });
  const ask = () => new Promise<Finding>(() => {});
  const options = { policy: { unknown: "ask" }, ask, callbackTimeout } as const;
  await world.run(queue, world.worker(new Life(undefined), options));
  await world.close();
  expect(queue.action).toBe("hold");
});

it.each(["connect", "bodies"])("tries a message again for which options.%s never answers", async (silent) => {
  const world = new World();
  const never = () => new Promise<never>(() => {});
  const options =
    silent === "connect"
      ? { connect: never, callbackTimeout }
      : { bodies: { put: async () => {}, get: never, delete: async () => {} }, callbackTimeout };
  const queue = new OneMessageQueue(message());
  await world.run(queue, world.worker(new Life(undefined), options));
  await world.close();
  expect(queue.action).toBe("retry");
});

it("does not wait for a store of bodies that never answers, once the worker closes", async () => {
  const world = new World();
  const queue = new OneMessageQueue(message());
  const asked = gate();
  const bodies = {
    put: async () => {},
    get: () => {
      asked.open();
      return new Promise<Uint8Array>(() => {});
    },
    delete: async () => {},
  };
  const attempts = world.worker(new Life(undefined), { bodies });
  const run = world.run(queue, attempts);
  await asked.opened;
  attempts.stop();
  await run;
  await world.close();
  expect(queue.action).toBe("defer");
});

it("lets any number of steps wait for a store that is gone, without a warning, and tries each once more at the end", async () => {
  const warnings: Error[] = [];
  const warned = (warning: Error): void => void warnings.push(warning);
  process.on("warning", warned);
  const world = new World();
  const attempts = world.worker(new Life(undefined));
  let tries = 0;
  const fail = async (): Promise<never> => {
    tries++;
    throw new Error("the store is gone");
  };
  const steps = Promise.allSettled(Array.from({ length: 20 }, () => attempts.persist(fail)));
  await new Promise((resolve) => setTimeout(resolve, 20));
  attempts.abandon();
  expect((await steps).map(({ status }) => status)).toEqual(Array.from({ length: 20 }, () => "rejected"));
  await world.close();
  process.off("warning", warned);
  expect(tries).toBe(40);
  expect(warnings).toEqual([]);
});
