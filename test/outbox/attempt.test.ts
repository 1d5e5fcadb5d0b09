/** How an attempt uses what the server offers. */
import { expect, it } from "vitest";
import { Life, message, World } from "./lives.ts";
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
