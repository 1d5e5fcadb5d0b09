/** How an attempt uses what the server offers. */
import { expect, it } from "vitest";
import { gate } from "../support/gate.ts";
import { type Fate, Life, message, World } from "./lives.ts";
import { OneMessageQueue } from "./memory-store.ts";

/** Runs one attempt against a server that offers these extensions. */
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

/** Gives an attempt up while its worker waits at a step; the step goes on then. */
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
