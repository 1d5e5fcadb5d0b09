/** The queue of calls on one session: order, early release, aborts, and calls that fail. */
import { describe, expect, test } from "vitest";
import { Call, CallQueue } from "../../src/client/call-queue.ts";
import { gate } from "../support/gate.ts";

/** A call that releases its turn early, as deliveries do. */
function shared<T>(queue: CallQueue, task: (release: () => void) => Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const call = callOf(() => {
      task(() => queue.release(call))
        .finally(() => queue.end(call))
        .then(resolve, reject);
    });
    queue.enqueue(call);
  });
}

class TestCall extends Call {
  readonly alone: boolean;
  readonly start: () => void;

  constructor(start: () => void, alone = false) {
    super();
    this.start = start;
    this.alone = alone;
  }
}

const callOf = (start: () => void, alone = false): Call => new TestCall(start, alone);

describe("calls that are alone", () => {
  test("begin at once when nobody is before them", () => {
    const queue = new CallQueue();
    let begun = false;
    void queue.alone(async () => {
      begun = true;
    });
    expect(begun).toBe(true);
  });

  test("run in call order, one after the other", async () => {
    const queue = new CallQueue();
    const log: string[] = [];
    const first = gate();
    const calls = [
      queue.alone(async () => {
        log.push("a begins");
        await first.opened;
        log.push("a ends");
      }),
      queue.alone(async () => void log.push("b")),
      queue.alone(async () => void log.push("c")),
    ];
    expect(log).toEqual(["a begins"]);
    first.open();
    await Promise.all(calls);
    expect(log).toEqual(["a begins", "a ends", "b", "c"]);
  });

  test("do not stop the others by failing, at once or later", async () => {
    const queue = new CallQueue();
    const calls = [
      queue.alone(() => {
        throw new Error("at once");
      }),
      queue.alone(async () => {
        await Promise.resolve();
        throw new Error("later");
      }),
      queue.alone(async () => "fine"),
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
  test("let the next one begin within their own call of release", async () => {
    const queue = new CallQueue();
    const log: string[] = [];
    const [atData, answered] = [gate(), gate()];
    const a = shared(queue, async (release) => {
      await atData.opened;
      log.push("a lets go");
      release();
      log.push("a goes on");
      await answered.opened;
      log.push("a ends");
    });
    const b = shared(queue, async () => void log.push("b begins"));
    expect(log).toEqual([]);
    atData.open();
    await b;
    expect(log).toEqual(["a lets go", "b begins", "a goes on"]);
    answered.open();
    await a;
    expect(log.at(-1)).toBe("a ends");
  });

  test("keep a call that is alone waiting until they have all ended", async () => {
    const queue = new CallQueue();
    const log: string[] = [];
    const answered = gate();
    const a = shared(queue, async (release) => {
      release();
      await answered.opened;
      log.push("a ends");
    });
    const b = shared(queue, async (release) => {
      release();
      log.push("b");
    });
    const quit = queue.alone(async () => void log.push("quit"));
    const behind = shared(queue, async () => void log.push("behind"));
    await b;
    expect(log).toEqual(["b"]);
    answered.open();
    await Promise.all([a, quit, behind]);
    expect(log).toEqual(["b", "a ends", "quit", "behind"]);
  });

  test("may let go more than once, and after their end, without effect", async () => {
    const queue = new CallQueue();
    let kept = (): void => {};
    let running = 0;
    let most = 0;
    const task = async (release: () => void): Promise<void> => {
      kept = release;
      release();
      release();
      most = Math.max(most, ++running);
      await Promise.resolve();
      running--;
    };
    await shared(queue, task);
    const alone = gate();
    const held = queue.alone(() => alone.opened);
    kept();
    const next = queue.alone(async () => "next");
    alone.open();
    await held;
    expect(await next).toBe("next");
    expect(most).toBe(1);
  });

  test("hand over by failing, too", async () => {
    const queue = new CallQueue();
    const a = shared(queue, async (release) => {
      release();
      throw new Error("a");
    });
    const b = shared(queue, () => Promise.reject(new Error("b")));
    const c = queue.alone(async () => "c");
    await expect(a).rejects.toThrow("a");
    await expect(b).rejects.toThrow("b");
    expect(await c).toBe("c");
  });
});

describe("a call that is withdrawn", () => {
  test("leaves the queue; the others go on", async () => {
    const queue = new CallQueue();
    const first = gate();
    const a = queue.alone(() => first.opened);
    let begun = false;
    const b = callOf(() => {
      begun = true;
    });
    queue.enqueue(b);
    const c = queue.alone(async () => "c");
    queue.cancel(b);
    first.open();
    await a;
    expect(await c).toBe("c");
    expect(begun).toBe(false);
  });

  test("at the head of the queue lets those behind it begin", async () => {
    const queue = new CallQueue();
    const answered = gate();
    const a = shared(queue, async (release) => {
      release();
      await answered.opened;
    });
    const alone = callOf(() => {}, true);
    queue.enqueue(alone);
    const b = shared(queue, async () => "b");
    queue.cancel(alone);
    expect(await b).toBe("b");
    answered.open();
    await a;
  });
});

test("thousands of calls that let go as they begin need no deeper stack than one", async () => {
  const queue = new CallQueue();
  const calls = Array.from({ length: 20_000 }, (_, i) =>
    shared(queue, async (release) => {
      release();
      return i;
    }),
  );
  expect(await Promise.all(calls)).toHaveLength(20_000);
});
