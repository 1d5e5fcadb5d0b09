/** A worker dies, freezes or loses its store at each step of an attempt, one by one, and the next worker continues. */
import { describe, expect, it } from "vitest";
import type { OutboxOptions } from "../../src/outbox/index.ts";
import type { Answers } from "../../src/testing/index.ts";
import { watchForLeaks } from "../support/leaks.ts";
import { type Fate, Life, message, type Plan, World } from "./lives.ts";
import { OneMessageQueue } from "./memory-store.ts";

/** The steps of an attempt that delivers. */
async function stepsOf(answers: Answers, options: Partial<OutboxOptions> = {}): Promise<string[]> {
  const world = new World(answers);
  const life = new Life(undefined);
  await world.run(new OneMessageQueue(message()), world.worker(life, options));
  await world.close();
  return life.names;
}

watchForLeaks();

type Outcome = { readonly copies: number; readonly ended: string | undefined; readonly held: boolean };

/** Runs one worker with a plan, then others until the message is settled or held. */
async function play(plan: Plan, answers: Answers = {}, options: Partial<OutboxOptions> = {}): Promise<Outcome> {
  const world = new World(answers);
  const queue = new OneMessageQueue(message());
  const first = new Life(plan);
  const run = world.run(queue, world.worker(first, options)).catch(() => {});
  await Promise.race([run, first.happened]);
  const isFrozen = plan?.fate.startsWith("freeze") ?? false;
  if (!first.dead && !isFrozen) await run;
  await others(world, queue, options);
  if (isFrozen) {
    first.wake();
    await run;
    await others(world, queue, options);
  }
  const outcome = { copies: world.server.messages.length, ended: queue.ended, held: queue.action === "hold" };
  await world.close();
  return outcome;
}

/** Runs workers without a plan until nothing changes. */
async function others(world: World, queue: OneMessageQueue, options: Partial<OutboxOptions>): Promise<void> {
  for (let turn = 0; turn < 4 && queue.ended === undefined; turn++) {
    world.shared.now += 3_600_000;
    await world.run(queue, world.worker(new Life(undefined), options));
    if (queue.action === "hold") return;
  }
}

const once = (code: string): Answers => {
  let said = false;
  return {
    message: () => {
      if (said) return undefined;
      said = true;
      return code;
    },
  };
};

const cases: { readonly name: string; readonly answers: () => Answers }[] = [
  { name: "a server that takes it", answers: () => ({}) },
  { name: "a server that first says 451 to the message", answers: () => once("451 4.3.0 later") },
];

describe.each(cases)("with $name", ({ answers }) => {
  const fates: Fate[] = ["die-before", "die-after"];

  it.each(fates)("a worker that dies at any step (%s) loses nothing and doubles nothing", async (fate) => {
    const steps = await stepsOf(answers());
    expect(steps).toEqual(expect.arrayContaining(["tickets.read", "tickets.take", "server.message"]));
    for (let at = 1; at <= steps.length; at++) {
      const { copies, ended, held } = await play({ fate, at }, answers());
      const where = `${fate} ${steps[at - 1]} (step ${at})`;
      expect(copies, where).toBeLessThanOrEqual(1);
      // Held only if the outcome is unknown; otherwise delivered once.
      expect(held || (ended === "done" && copies === 1), where).toBe(true);
      if (held) expect(steps.indexOf("tickets.take") + 1, where).toBeLessThanOrEqual(at);
    }
  });

  it.each<Fate>(["fail-before", "fail-after"])(
    "a store that fails once at any step (%s) costs no more than time",
    async (fate) => {
      const steps = await stepsOf(answers());
      for (let at = 1; at <= steps.length; at++) {
        const where = `${fate} ${steps[at - 1]} (step ${at})`;
        expect(await play({ fate, at }, answers()), where).toEqual({ copies: 1, ended: "done", held: false });
      }
    },
  );

  it.each<Fate>(["freeze-before", "freeze-after"])(
    "a worker that freezes at any step (%s) and wakes when others went on delivers once, and what was held resolves",
    async (fate) => {
      const steps = await stepsOf(answers());
      for (let at = 1; at <= steps.length; at++) {
        const where = `${fate} ${steps[at - 1]} (step ${at})`;
        expect(await play({ fate, at }, answers()), where).toEqual({ copies: 1, ended: "done", held: false });
      }
    },
  );
});

describe("the policy for what is unknown", () => {
  const lost = (): Answers => {
    let cut = false;
    return {
      message: () => {
        if (cut) return undefined;
        cut = true;
        return { end: "close" };
      },
    };
  };

  it("holds the message by default, and sends it no second time", async () => {
    expect(await play(undefined, lost())).toEqual({ copies: 1, ended: undefined, held: true });
  });

  it("sends it again where the user chose retry", async () => {
    const outcome = await play(undefined, lost(), { policy: { unknown: "retry" } });
    expect(outcome).toEqual({ copies: 2, ended: "done", held: false });
  });

  it.each([
    { finding: "delivered", copies: 1 },
    { finding: "not-delivered", copies: 2 },
  ] as const)("asks where the user chose ask, and believes $finding", async ({ finding, copies }) => {
    const asked: string[] = [];
    const ask: OutboxOptions["ask"] = ({ messageId, reason }) => {
      asked.push(`${messageId} ${reason}`);
      return finding;
    };
    const outcome = await play(undefined, lost(), { policy: { unknown: "ask" }, ask });
    expect(outcome).toEqual({ copies, ended: "done", held: false });
    expect(asked).toEqual(["<one@example.com> lost"]);
  });

  it("holds it while the callback does not know, or fails", async () => {
    for (const ask of [(): "unknown" => "unknown", () => Promise.reject(new Error("the mailbox is closed"))]) {
      const outcome = await play(undefined, lost(), { policy: { unknown: "ask" }, ask });
      expect(outcome).toEqual({ copies: 1, ended: undefined, held: true });
    }
  });
});
