/** The queue of calls on one session: order, early hand-over, aborts, and calls that fail. */
import { describe, expect, test } from "vitest";
import { type Call, makeTurns, type Turns } from "../../src/client/turns.ts";

type Gate = { promise: Promise<void>; open: () => void };

function gate(): Gate {
  let open = (): void => {};
  const promise = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { promise, open };
}

/** A call that shares, as deliveries do. */
function shared<T>(turns: Turns, task: (letGo: () => void) => Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const call = callOf(() => {
      task(() => turns.letGo(call))
        .finally(() => turns.end(call))
        .then(resolve, reject);
    });
    turns.enter(call);
  });
}

const callOf = (start: () => void): Call => ({ alone: false, holds: false, start });

describe("calls that are alone", () => {
  test("begin at once when nobody is before them", () => {
    const turns = makeTurns();
    let begun = false;
    void turns.alone(async () => {
      begun = true;
    });
    expect(begun).toBe(true);
  });

  test("run in call order, one after the other", async () => {
    const turns = makeTurns();
    const log: string[] = [];
    const first = gate();
    const calls = [
      turns.alone(async () => {
        log.push("a begins");
        await first.promise;
        log.push("a ends");
      }),
      turns.alone(async () => void log.push("b")),
      turns.alone(async () => void log.push("c")),
    ];
    expect(log).toEqual(["a begins"]);
    first.open();
    await Promise.all(calls);
    expect(log).toEqual(["a begins", "a ends", "b", "c"]);
  });

  test("do not stop the others by failing, at once or later", async () => {
    const turns = makeTurns();
    const calls = [
      turns.alone(() => {
        throw new Error("at once");
      }),
      turns.alone(async () => {
        await Promise.resolve();
        throw new Error("later");
      }),
      turns.alone(async () => "fine"),
    ];
    const results = await Promise.allSettled(calls);
    expect(results.map((r) => (r.status === "fulfilled" ? r.value : r.reason.message))).toEqual([
      "at once",
      "later",
      "fine",
    ]);
  });
});

describe("calls that share", () => {
  test("let the next one begin within their own call of letGo", async () => {
    const turns = makeTurns();
    const log: string[] = [];
    const [atData, answered] = [gate(), gate()];
    const a = shared(turns, async (letGo) => {
      await atData.promise;
      log.push("a lets go");
      letGo();
      log.push("a goes on");
      await answered.promise;
      log.push("a ends");
    });
    const b = shared(turns, async () => void log.push("b begins"));
    expect(log).toEqual([]);
    atData.open();
    await b;
    expect(log).toEqual(["a lets go", "b begins", "a goes on"]);
    answered.open();
    await a;
    expect(log.at(-1)).toBe("a ends");
  });

  test("keep a call that is alone waiting until they have all ended", async () => {
    const turns = makeTurns();
    const log: string[] = [];
    const answered = gate();
    const a = shared(turns, async (letGo) => {
      letGo();
      await answered.promise;
      log.push("a ends");
    });
    const b = shared(turns, async (letGo) => {
      letGo();
      log.push("b");
    });
    const quit = turns.alone(async () => void log.push("quit"));
    const behind = shared(turns, async () => void log.push("behind"));
    await b;
    expect(log).toEqual(["b"]);
    answered.open();
    await Promise.all([a, quit, behind]);
    expect(log).toEqual(["b", "a ends", "quit", "behind"]);
  });

  test("may let go more than once, and after their end, without effect", async () => {
    const turns = makeTurns();
    let kept = (): void => {};
    let running = 0;
    let most = 0;
    const task = async (letGo: () => void): Promise<void> => {
      kept = letGo;
      letGo();
      letGo();
      most = Math.max(most, ++running);
      await Promise.resolve();
      running--;
    };
    await shared(turns, task);
    const alone = gate();
    const held = turns.alone(() => alone.promise);
    kept();
    const next = turns.alone(async () => "next");
    alone.open();
    await held;
    expect(await next).toBe("next");
    expect(most).toBe(1);
  });

  test("hand over by failing, too", async () => {
    const turns = makeTurns();
    const a = shared(turns, async (letGo) => {
      letGo();
      throw new Error("a");
    });
    const b = shared(turns, () => Promise.reject(new Error("b")));
    const c = turns.alone(async () => "c");
    await expect(a).rejects.toThrow("a");
    await expect(b).rejects.toThrow("b");
    expect(await c).toBe("c");
  });
});

describe("a call that is withdrawn", () => {
  test("leaves the queue; the others go on", async () => {
    const turns = makeTurns();
    const first = gate();
    const a = turns.alone(() => first.promise);
    let begun = false;
    const b = callOf(() => {
      begun = true;
    });
    turns.enter(b);
    const c = turns.alone(async () => "c");
    turns.withdraw(b);
    first.open();
    await a;
    expect(await c).toBe("c");
    expect(begun).toBe(false);
  });

  test("at the head of the queue lets those behind it begin", async () => {
    const turns = makeTurns();
    const answered = gate();
    const a = shared(turns, async (letGo) => {
      letGo();
      await answered.promise;
    });
    const alone: Call = { alone: true, holds: false, start: () => {} };
    turns.enter(alone);
    const b = shared(turns, async () => "b");
    turns.withdraw(alone);
    expect(await b).toBe("b");
    answered.open();
    await a;
  });
});

test("thousands of calls that let go as they begin need no deeper stack than one", async () => {
  const turns = makeTurns();
  const calls = Array.from({ length: 20_000 }, (_, i) =>
    shared(turns, async (letGo) => {
      letGo();
      return i;
    }),
  );
  expect(await Promise.all(calls)).toHaveLength(20_000);
});
