/** Every kind of body -> its known properties before it is read, and its chunks. */
import { describe, expect, test } from "vitest";
import { type Chunks, chunksOf as readChunks } from "../../src/client/chunks.ts";
import { contentOf } from "../../src/client/content.ts";
import { concat, utf8 } from "../../src/core/bytes.ts";

const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);

function chunksOf(body: unknown): Chunks {
  const content = contentOf(body, "msg");
  if (content.bytes !== undefined) throw new Error("this body is in memory");
  return readChunks(content.source);
}

async function collect(body: unknown): Promise<string> {
  const chunks = chunksOf(body);
  const parts: Uint8Array[] = [];
  for (let chunk = await chunks.next(); chunk !== undefined; chunk = await chunks.next()) parts.push(chunk);
  expect(await chunks.next()).toBeUndefined();
  return text(concat(parts));
}

async function* later(...values: (string | Uint8Array)[]): AsyncGenerator<string | Uint8Array> {
  for (const value of values) {
    await Promise.resolve();
    yield value;
  }
}

const stream = <T>(...values: T[]): ReadableStream<T> =>
  new ReadableStream({
    start(controller) {
      for (const value of values) controller.enqueue(value);
      controller.close();
    },
  });

describe("a body in memory", () => {
  test.each<[body: string, octets: number, eightBit: boolean]>([
    ["", 0, false],
    ["abc", 3, false],
    ["a\nb\r\nc\rd", 10, false],
    ["grüße", 7, true],
    ["\u{1f4e7}", 4, true],
    ["\x7f", 1, false],
    ["\x80", 2, true],
  ])("that is the text %j is known as a whole", (body, octets, eightBit) => {
    expect(contentOf(body, "msg")).toMatchObject({ bytes: utf8(body), octets, eightBit });
    expect(contentOf(utf8(body), "msg")).toMatchObject({ octets, eightBit });
  });

  test("that is bytes is not copied", () => {
    const bytes = utf8("abc");
    expect(contentOf(bytes, "msg").bytes).toBe(bytes);
  });
});

describe("a body in chunks", () => {
  test.each<[name: string, make: () => unknown]>([
    ["a Blob", () => new Blob(["grü", "ße"])],
    ["a ReadableStream", () => stream(utf8("grü"), utf8("ße"))],
    ["an array of texts", () => ["grü", "ße"]],
    ["an array of texts and bytes", () => ["gr", utf8("ü"), "", new Uint8Array(0), "ße"]],
    ["a Set", () => new Set(["grü", "ße"])],
    ["an async generator", () => later("gr", utf8("ü"), "ße")],
    ["promises", () => [Promise.resolve("grü"), Promise.resolve(utf8("ße"))]],
    [
      "an iterator that knows no return()",
      () => {
        const values = ["grü", "ße"];
        return { [Symbol.iterator]: () => ({ next: () => ({ done: values.length === 0, value: values.shift() }) }) };
      },
    ],
  ])("can be %s", async (_, make) => {
    const { bytes, octets, eightBit } = contentOf(make(), "msg");
    expect([bytes, octets, eightBit]).toEqual([undefined, undefined, undefined]);
    expect(await collect(make())).toBe("grüße");
  });

  test.each<[chunks: (string | Uint8Array)[], whole: string]>([
    [["a\ud83d", "\udce7b"], "a\u{1f4e7}b"],
    [["\ud83d", "", "\udce7"], "\u{1f4e7}"],
    [["\ud83d", "\ud83d\udce7"], "\ufffd\u{1f4e7}"],
    [["\ud83d", "x"], "\ufffdx"],
    [["\ud83d", utf8("x")], "\ufffdx"],
    [["\ud83d", new Uint8Array(0), "\udce7"], "\ufffd\ufffd"],
    [["x\ud83d"], "x\ufffd"],
    [["\udce7"], "\ufffd"],
  ])("may be cut inside of a surrogate pair: %j", async (chunks, whole) => {
    expect(await collect(chunks)).toBe(whole);
    expect(await collect(later(...chunks))).toBe(whole);
  });

  test("is not touched before it is asked for", () => {
    let touched = false;
    contentOf(
      {
        [Symbol.asyncIterator]() {
          touched = true;
          return later();
        },
      },
      "msg",
    );
    expect(touched).toBe(false);
  });

  test.each([[1], [null], [{}], [["a"]], [undefined], [new Uint16Array(1)]])(
    "with the chunk %j is refused when it comes",
    async (chunk) => {
      const chunks = chunksOf(["fine", chunk]);
      await chunks.next();
      await expect(chunks.next()).rejects.toThrow(TypeError);
      await expect(chunksOf(stream(chunk)).next()).rejects.toThrow(TypeError);
    },
  );

  test("that fails rejects with its own error", async () => {
    const error = new Error("disk");
    const failing = async function* (): AsyncGenerator<string> {
      yield "a";
      throw error;
    };
    const chunks = chunksOf(failing());
    await chunks.next();
    await expect(chunks.next()).rejects.toBe(error);
    const broken = new ReadableStream({ pull: (controller) => controller.error(error) });
    await expect(chunksOf(broken).next()).rejects.toBe(error);
  });
});

test("a byte stream ends when its source closes it, which need not know of readers with memory of their own", async () => {
  let left = 2;
  const bytes = new ReadableStream({
    type: "bytes",
    pull(controller) {
      if (left-- > 0) controller.enqueue(Uint8Array.of(97, 98));
      else controller.close();
    },
  });
  const chunks = chunksOf(bytes);
  expect(await chunks.next()).toEqual(utf8("ab"));
  expect(await chunks.next()).toEqual(utf8("ab"));
  expect(await chunks.next()).toBeUndefined();
});

describe("a body that is given up", () => {
  test("is told so once: an iterator by return()", () => {
    let returned = 0;
    const chunks = chunksOf({
      [Symbol.asyncIterator]: () => ({
        next: async () => ({ done: false, value: "x" }),
        return: async () => {
          returned++;
          return { done: true, value: undefined };
        },
      }),
    });
    chunks.cancel(new Error("refused"));
    expect(returned).toBe(1);
  });

  test("runs a generator's finally", async () => {
    let closed = false;
    function* source(): Generator<string> {
      try {
        yield "a";
        yield "b";
      } finally {
        closed = true;
      }
    }
    const chunks = chunksOf(source());
    await chunks.next();
    chunks.cancel();
    expect(closed).toBe(true);
  });

  test("cancels a stream with the reason", async () => {
    const reason = new Error("refused");
    let seen: unknown;
    const chunks = chunksOf(
      new ReadableStream({
        cancel(why) {
          seen = why;
        },
      }),
    );
    chunks.cancel(reason);
    await Promise.resolve();
    expect(seen).toBe(reason);
  });

  test.each<[name: string, body: () => unknown]>([
    [
      "throws",
      () => ({
        [Symbol.iterator]: () => ({
          next: () => ({ done: false, value: "x" }),
          return: () => {
            throw new Error("no");
          },
        }),
      }),
    ],
    [
      "rejects",
      () => ({
        [Symbol.asyncIterator]: () => ({
          next: async () => ({ done: false, value: "x" }),
          return: () => Promise.reject(new Error("no")),
        }),
      }),
    ],
    [
      "never answers",
      () => ({
        [Symbol.asyncIterator]: () => ({ next: () => new Promise(() => {}), return: () => new Promise(() => {}) }),
      }),
    ],
    [
      "is a stream that fails to be cancelled",
      () => new ReadableStream({ cancel: () => Promise.reject(new Error("no")) }),
    ],
  ])("is not waited for, whatever it does: it %s", async (_, body) => {
    const chunks = chunksOf(body());
    expect(() => chunks.cancel()).not.toThrow();
    await new Promise((resolve) => setTimeout(resolve, 0));
  });
});

describe("what is no body", () => {
  test.each([[undefined], [null], [1], [true], [{}], [() => "x"], [Symbol("x")], [new ArrayBuffer(2)], [new Date()]])(
    "is refused by name: %s",
    (body) => {
      expect(() => contentOf(body, "msg")).toThrow(TypeError);
      expect(() => contentOf(body, "msg")).toThrow(/^msg must be/);
    },
  );
});
